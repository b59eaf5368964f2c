"""What every backbone keeps: tasks of different names."""

import pytest

from mtfx.datasets.spec import Task
from mtfx.models.mtl.base import Backbone
from mtfx.models.mtl.registry import BackboneConfig

CONFIG = BackboneConfig(bottom_units=(4,), tower_units=(3,))


def test_tasks_keep_their_order_and_nothing_is_shared_unless_said():
    backbone = Backbone((Task("like"), Task("click")), CONFIG)
    assert [task.name for task in backbone.tasks] == ["like", "click"]
    assert backbone.num_tasks == 2
    assert backbone.shared_layers == []


@pytest.mark.parametrize(("names", "message"), [((), "at least one"), (("a", "b", "a"), "twice")])
def test_tasks_that_cannot_be_told_apart_are_refused(names, message):
    with pytest.raises(ValueError, match=message):
        Backbone(tuple(map(Task, names)), CONFIG)
