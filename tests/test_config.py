"""The one way in which configurations are written, read, changed and explained."""

import dataclasses
import json
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.config import Config, field_help, override, settings_of


@dataclasses.dataclass(frozen=True)
class Layers(Config):
    """Layers of a network.

    Attributes:
      units: Of each layer,
        from the input on.
      dropout: Share of units.
    """

    units: tuple[int, ...] = (8, 4)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is a share in [0, 1), got {self.dropout}")


@dataclasses.dataclass(frozen=True)
class Deep(Layers):
    """More layers.

    Attributes:
      levels: How many.
      lambda_: Weight of the last.
    """

    levels: int = 2
    lambda_: float = 0.5


KINDS = {"plain": Layers, "deep": Deep}


@dataclasses.dataclass(frozen=True)
class Model(Config):
    """A model.

    Attributes:
      kind: Name of the class of ``layers``.
      layers: Its network.
      critic: A second one.
      loss: Which.
      limit: Of what is learned; None has none.
      weights: By task.
      fixed: Whether nothing is learned.
    """

    kind: str = "plain"
    layers: Layers = dataclasses.field(default_factory=Layers)
    critic: Layers | None = None
    loss: Literal["bce", "mse"] = "bce"
    limit: float | None = None
    weights: tuple[tuple[str, float], ...] = ()
    fixed: bool = False

    @classmethod
    def config_types(cls, values):
        return {"layers": KINDS[values.get("kind", cls.kind)]}


@dataclasses.dataclass(frozen=True)
class Ensemble(Config):
    """Models and named layers.

    Attributes:
      first: Needed; its own class of layers is found, too.
      named: Name of a class of layers, and layers of it.
    """

    first: Model
    named: tuple[tuple[str, Layers], ...] = ()

    @classmethod
    def config_types(cls, values):
        names = [name for name, _ in values.get("named", ())]
        return {"named": tuple[tuple(tuple[str, KINDS[name]] for name in names)]}


layers = st.builds(
    Layers,
    units=st.lists(st.integers(1, 99), min_size=1).map(tuple),
    dropout=st.floats(0, 1, exclude_max=True),
)
deep = st.builds(Deep, dropout=st.floats(0, 1, exclude_max=True), levels=st.integers(1, 9))
models = st.one_of(
    st.builds(Model, kind=st.just(kind), layers=inner, critic=st.none() | layers,
              loss=st.sampled_from(["bce", "mse"]), limit=st.none() | st.floats(0, 1e9),
              weights=st.lists(st.tuples(st.text(), st.floats(0, 9))).map(tuple),
              fixed=st.booleans())
    for kind, inner in (("plain", layers), ("deep", deep))
)  # fmt: skip


@given(models)
def test_what_is_written_is_read_again(model):
    assert Model.from_json(model.to_json()) == model
    assert Model.from_dict(model.to_dict()) == model
    assert type(Model.from_json(model.to_json()).layers) is type(model.layers)


@given(
    models, st.lists(st.one_of(layers.map(lambda o: ("plain", o)), deep.map(lambda o: ("deep", o))))
)
def test_configurations_within_others_are_read_by_their_own_classes(model, named):
    ensemble = Ensemble(model, tuple(named))
    read = Ensemble.from_json(ensemble.to_json())
    assert read == ensemble
    assert type(read.first.layers) is type(model.layers)
    assert [type(one) for _, one in read.named] == [type(one) for _, one in named]


def test_what_a_configuration_lacks_is_named():
    with pytest.raises(ValueError, match="Ensemble lacks first"):
        Ensemble.from_dict({"named": []})
    with pytest.raises(ValueError, match="Layers has no 'levels'"):
        Ensemble.from_dict({"first": {}, "named": [["plain", {"levels": 1}]]})


def test_what_is_not_written_has_its_default():
    assert Model.from_dict({}) == Model()
    assert Model.from_dict({"layers": {"dropout": 0.5}}) == Model(layers=Layers(dropout=0.5))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lyers": {}}, "Model has no 'lyers'; it has: kind, layers, critic"),
        ({"layers": {"unit": 1}}, "Layers has no 'unit'; it has: units, dropout"),
        ({"critic": {"unit": 1}}, "Layers has no 'unit'"),
        ({"layers": {"levels": 2}}, "Layers has no 'levels'"),
        ({"layers": {"dropout": 1.5}}, "dropout is a share in [0, 1), got 1.5"),
        ({"critic": {"dropout": 1.5}}, "dropout is a share in [0, 1), got 1.5"),
        ({"loss": "mae"}, "loss: Input should be 'bce' or 'mse', got 'mae'"),
        ({"limit": "7"}, "limit: Input should be a valid number, got '7'"),
        ({"fixed": 1}, "fixed: Input should be a valid boolean, got 1"),
        ({"layers": {"units": [1.5]}}, "units.0: "),
    ],
)
def test_what_does_not_fit_is_named_in_one_line(values, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the words are compared)
        Model.from_dict(values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "3", "null", "{"])
def test_json_of_something_else_is_refused(text):
    with pytest.raises(ValueError, match=r"JSON object|line 1"):
        Model.from_json(text)


def test_settings_are_all_values_with_their_help():
    found = settings_of(Model(kind="deep", layers=Deep()))
    names = ["kind", "layers.units", "layers.dropout", "layers.levels", "layers.lambda"]
    assert list(found)[:5] == names
    assert found["layers.lambda"].help == "Weight of the last."
    assert found["layers.units"].help == "Of each layer, from the input on."
    assert found["layers.levels"].help == "How many."
    assert found["critic"].default is None
    assert field_help(Deep)["dropout"] == "Share of units."


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("layers.units", "(3,)", (3,)),
        ("layers.units", "[3, 2]", (3, 2)),
        ("layers.dropout", "0", 0.0),
        ("layers.dropout", "1e-3", 1e-3),
        ("loss", "mse", "mse"),
        ("limit", "None", None),
        ("limit", "2", 2.0),
        ("fixed", "yes", True),
        ("fixed", "False", False),
        ("kind", "yes", "yes"),
        ("weights", "(('click', 2),)", (("click", 2.0),)),
    ],
)
def test_a_text_is_read_by_its_settings_type(name, text, value):
    changed = settings_of(override(Model(), {name: text}))[name].default
    assert changed == value
    assert type(changed) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("layer.units", "3", "no setting 'layer.units'; there are: kind, layers.units"),
        ("layers", "3", "no setting 'layers'"),
        ("layers.units", "3", "layers.units is a value such as (8, 4), its default; got '3'"),
        ("layers.dropout", "much", "layers.dropout is a value such as 0.1"),
        ("layers.dropout", "True", "layers.dropout is a value such as 0.1"),
        ("layers.dropout", "2", "dropout is a share in [0, 1), got 2.0"),
        ("loss", "mae", "loss is one of bce, mse; got 'mae'"),
        ("layers.units", "(1", "layers.units is a value such as"),
    ],
)
def test_a_wrong_setting_is_named(name, text, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the words are compared)
        override(Model(), {name: text})
    assert words in str(caught.value)


def test_a_setting_may_have_the_name_of_a_keyword():
    model = override(Model(kind="deep", layers=Deep()), {"layers.lambda": "2", "layers.levels": 1})
    assert model.layers == Deep(lambda_=2.0, levels=1)


@pytest.mark.parametrize(("text", "levels"), [("3", 3), ("1e2", 100), (4.0, 4)])
def test_a_whole_number_may_be_written_as_any_number(text, levels):
    assert override(Deep(), {"levels": text}) == Deep(levels=levels)
    with pytest.raises(ValueError, match="levels is a value such as 2"):
        override(Deep(), {"levels": "2.5"})


def test_settings_that_only_fit_together_are_taken_together():
    model = override(Model(), {"layers.dropout": "0.5", "layers.units": "(1,)", "limit": 3})
    assert model.layers == Layers((1,), 0.5)
    assert model.limit == 3.0


def test_equal_configurations_have_equal_texts():
    text = Model().to_json()
    assert list(json.loads(text)) == sorted(json.loads(text))
