"""Statistics of sessions as the component's StatisticsGen makes them."""

import pyarrow as pa
import pytest
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tensorflow_metadata.proto.v0 import schema_pb2

from mtfx.components.strict_distribution_validator.component import statistics_options
from mtfx.components.strict_distribution_validator.sample import Sample


@pytest.fixture(scope="session")
def statistics_of():
    """Of ``{name: lists}``, and of integers whose values are counted."""

    def make(columns, counted=(), named=20_000):
        """TFDV's statistics of sessions: ``{name: lists}``."""
        schema = schema_pb2.Schema()
        for name in counted:
            feature = schema.feature.add(name=name, type=schema_pb2.INT)
            feature.int_domain.is_categorical = True
        options = statistics_options()
        options.schema = schema if counted else None
        options.num_rank_histogram_buckets = named
        batch = pa.RecordBatch.from_arrays(
            [pa.array(values) for values in columns.values()], list(columns)
        )
        return Sample(generate_statistics_in_memory(batch, options).datasets[0])

    return make
