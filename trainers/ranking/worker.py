"""A process of a training on several machines: ``python -m mtfx.trainers.ranking.worker``.

It is started with ``TF_CONFIG`` in its environment, on every machine but the chief's by hand or by
the cluster's scheduler; see ``mtfx.trainers.ranking.multi_worker``.
"""

from __future__ import annotations

import logging
import sys
import time

import click

_POLL_SECONDS = 1.0


@click.command()
@click.option("--job", required=True, help="job.json below the trainer's checkpoint directory.")
@click.option(
    "--wait-minutes", type=float, default=60.0, show_default=True, help="For the chief's job."
)
def main(job: str, wait_minutes: float) -> None:
    """Waits for the chief's job and takes part in it."""
    logging.basicConfig(level=logging.INFO)
    from mtfx.trainers.ranking import multi_worker
    from mtfx.trainers.ranking.run import train_and_export

    try:
        worker = multi_worker.this_worker()
        logging.info("%s waits for %s", worker.name, job)
        train_and_export(multi_worker.from_json(_read(job, wait_minutes)), worker)
    except multi_worker.ClusterError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


def _read(job: str, wait_minutes: float) -> str:
    import tensorflow as tf

    from mtfx.trainers.ranking.multi_worker import ClusterError

    deadline = time.monotonic() + 60 * wait_minutes
    # Files need no operation of TensorFlow's: the cluster can still be joined afterwards.
    while not tf.io.gfile.exists(job):
        if time.monotonic() > deadline:
            raise ClusterError(f"--job {job}: no chief has written it in {wait_minutes:g} minutes")
        time.sleep(_POLL_SECONDS)
    with tf.io.gfile.GFile(job) as file:
        return file.read()


if __name__ == "__main__":
    main()
