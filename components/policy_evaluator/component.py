"""PolicyEvaluator as a TFX component, and what it reads and writes."""

from __future__ import annotations

import os
from typing import Any

from tfx.components.evaluator import constants
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact, artifact_utils, channel, standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import io_utils, path_utils

from mtfx.components.artifacts import Simulator as SimulatorArtifact
from mtfx.components.cluster.current_model import existing
from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig
from mtfx.components.policy_evaluator.evaluate import evaluate_policy
from mtfx.datasets.file_names import literal
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.datasets.transitions.table import load_transitions
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.world import load_world
from mtfx.errors import DataError
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.reports.policy import write_evaluation
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.fusion.config import FormulaFreeConfig


class PolicyEvaluatorSpec(ComponentSpec):
    """Inputs, outputs and parameters of PolicyEvaluator."""

    PARAMETERS = {  # noqa: RUF012 (TFX's convention)
        "config": ExecutionParameter(type=str),
    }
    INPUTS = {  # noqa: RUF012
        "interactions": ChannelParameter(type=standard_artifacts.Examples),
        "policy": ChannelParameter(type=standard_artifacts.Model),
        "baseline_policy": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "simulator": ChannelParameter(type=SimulatorArtifact, optional=True),
    }
    OUTPUTS = {  # noqa: RUF012
        "evaluation": ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class Executor(base_executor.BaseExecutor):
    """See the component."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Evaluates the policy, writes the report and the blessing.

        Raises:
          DataError: if an input cannot be read, or the policy does not fit the transitions.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = PolicyEvaluatorConfig.from_json(exec_properties["config"])
        model = artifact_utils.get_single_instance(input_dict["policy"])
        baseline = next(iter(existing(input_dict.get("baseline_policy") or [])), None)
        data = _read(input_dict["interactions"], config)
        policy = SavedPolicy(path_utils.serving_model_path(model.uri))
        current = None
        if baseline is not None:
            current = SavedPolicy(path_utils.serving_model_path(baseline.uri))
        _check_fits(policy, data, "the policy")
        uri = artifact_utils.get_single_uri(input_dict["interactions"])
        meaning = policy.metadata.fusion_config.action_meaning()
        TransitionManifest.read(uri).check_fusion(meaning, uri)
        note = None
        if current is not None and (differences := _differences(current, policy)):
            note = f"the current policy cannot be compared with: it has {'; '.join(differences)}"
            current = baseline = None
        simulator = None
        if input_dict.get("simulator"):
            world = load_world(artifact_utils.get_single_uri(input_dict["simulator"]))
            simulator = Simulator(world, config.simulator)
        evaluated = evaluate_policy(data, policy, current, simulator, config)
        for text in (note, _own_cells(policy), _other_discount(policy, config.gamma)):
            if text is not None:
                evaluated.evaluation.verdict.notes.append(text)
        write_evaluation(
            evaluated.evaluation,
            evaluated.actions,
            artifact_utils.get_single_uri(output_dict["evaluation"]),
        )
        write_blessing(
            artifact_utils.get_single_instance(output_dict["blessing"]),
            blessed=evaluated.evaluation.verdict.blessed,
            model=model,
            baseline=baseline,
            component_id=exec_properties.get("current_component_id"),
        )


class PolicyEvaluator(base_component.BaseComponent):
    """Values a fusion policy from interactions that it did not learn from, and blesses it.

    ``evaluation`` holds ``summary.json``, ``index.html`` and their figures as PNG: the estimates
    with intervals, the simulator's true value where a simulator is given, for users that no policy
    learnt from beside the others, and the policy's actions against the logged ones. ``blessing`` is
    a standard ModelBlessing with the properties that TFX's Evaluator sets, so that Pusher and
    resolvers take it as they take that one's. What is blessed says
    ``mtfx.evaluation.policies.blessing``; a policy that is refused does not fail the pipeline.

    The log's actions must be of the policy's fusion, see ``TransitionManifest.fusion``. Of a policy
    with trained cells, xMTF's, the off-policy estimates are approximations: they value its actions
    by what these did in the log, where other cells, or none, turned them into a ranking. The report
    says how far the two rankings agree. The simulator's value is exact, as it ranks with the
    policy's own cells.
    """

    SPEC_CLASS = PolicyEvaluatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        interactions: channel.BaseChannel,
        policy: channel.BaseChannel,
        baseline_policy: channel.BaseChannel | None = None,
        simulator: channel.BaseChannel | None = None,
        config: PolicyEvaluatorConfig | None = None,
    ):
        """Makes the component.

        Args:
          interactions: Transitions with the split that the configuration names.
          policy: The exported fusion policy to evaluate.
          baseline_policy: The current one; its channel may be empty, as in a first run, and so may
            its artifact, which :class:`mtfx.components.cluster.current_model.CurrentModel` marks.
            One of another state or other predictions is not compared with, which the report notes.
          simulator: A world for true values.
          config: Settings; the defaults when None.
        """
        super().__init__(
            PolicyEvaluatorSpec(
                interactions=interactions,
                policy=policy,
                baseline_policy=baseline_policy,
                simulator=simulator,
                config=(config or PolicyEvaluatorConfig()).to_json(),
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            )
        )


def write_blessing(
    blessing: artifact.Artifact,
    *,
    blessed: bool,
    model: artifact.Artifact,
    baseline: artifact.Artifact | None,
    component_id: str | None,
) -> None:
    """Writes what TFX's Evaluator writes, so that Pusher and resolvers work unchanged.

    Args:
      blessing: A ModelBlessing.
      blessed: The verdict.
      model: The model that it is about.
      baseline: The one it was compared with; None if there was none.
      component_id: Of the component, for resolvers that tell producers apart.
    """
    blessing.set_string_custom_property(
        constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
    )
    blessing.set_int_custom_property(constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id)
    if baseline is not None:
        blessing.set_string_custom_property(
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, baseline.uri
        )
        blessing.set_int_custom_property(
            constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, baseline.id
        )
    if component_id is not None:
        blessing.set_string_custom_property("component_id", component_id)
    name = constants.BLESSED_FILE_NAME if blessed else constants.NOT_BLESSED_FILE_NAME
    io_utils.write_string_file(os.path.join(blessing.uri, name), "")
    blessing.set_int_custom_property(
        constants.ARTIFACT_PROPERTY_BLESSED_KEY,
        constants.BLESSED_VALUE if blessed else constants.NOT_BLESSED_VALUE,
    )


def _read(examples: list, config: PolicyEvaluatorConfig) -> OfflineData:
    uri = artifact_utils.get_split_uri(examples, config.split)
    table = load_transitions(
        os.path.join(literal(uri), "*"), max_transitions=config.max_transitions
    )
    try:
        return OfflineData(
            states=table.states,
            actions=table.actions,
            rewards=table.rewards,
            next_states=table.next_states,
            discounts=table.discounts,
            session=table.session_index,
            step=table.steps,
            log_density=table.log_density,
        )
    except ValueError as error:
        raise DataError(f"the transitions of {uri} cannot be used: {error}") from error


def _check_fits(policy: SavedPolicy, data: OfflineData, what: str) -> None:
    found = (policy.metadata.state_dim, policy.metadata.action_dim)
    if found != (data.state_dim, data.action_dim):
        raise DataError(
            f"{what} takes states of size {found[0]} and gives actions of size {found[1]}, but the "
            f"transitions have states of size {data.state_dim} and actions of size "
            f"{data.action_dim}: evaluate it on interactions with its own ranking model"
        )


def _own_cells(policy: SavedPolicy) -> str | None:
    """What an estimate of a policy with trained cells leaves out; None for other policies."""
    config = policy.metadata.fusion_config
    if not (isinstance(config, FormulaFreeConfig) and config.saved_cells):
        return None
    alike = policy.metadata.config.get("order_agreement")
    share = (
        ""
        if alike is None
        else f" (they put what it showed first in {alike:.1%} of its pairs with others)"
    )
    return (
        "the estimates are of the policy's actions on the fusion of the log, from which the "
        f"policy's own cells differ{share}; the simulator's value is that of the policy itself"
    )


def _other_discount(policy: SavedPolicy, gamma: float) -> str | None:
    """That a policy optimises another value than the estimates are of; None if it does not."""
    trained = policy.metadata.config.get("trainer", {}).get("agent", {}).get("gamma", gamma)
    if trained == gamma:
        return None
    return (
        f"the policy was trained with a discount of {trained:g} per request, and is judged with "
        f"{gamma:g}: it optimises another value than the one estimated"
    )


def _differences(current: SavedPolicy, policy: SavedPolicy) -> list[str]:
    """What keeps two policies from being valued on the same transitions."""
    found, wanted = (one.metadata.fusion_config.action_meaning() for one in (current, policy))
    fusion = [] if found == wanted else [f"actions of the fusion {found} instead of {wanted}"]
    return fusion + [
        f"{name.replace('_', ' ')} {getattr(current.metadata, name)} instead of "
        f"{getattr(policy.metadata, name)}"
        for name in ("state_dim", "action_dim", "prediction_names")
        if getattr(current.metadata, name) != getattr(policy.metadata, name)
    ]
