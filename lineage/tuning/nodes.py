"""Study and Trial nodes as Optuna's values, and back: maps lie in a node as lists, a key and a JSON text for each.

A list of keys beside a list of values keeps the order of parameters, takes any key, and needs no property for each.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

Row = Mapping[str, Any]

#: Trials of one study have ids from `study_id * SPAN` on, so that an id tells study and number; exact in JavaScript.
SPAN = 1 << 20
#: What a trial's node knows beyond Optuna; shown to Optuna's tools as user attributes.
SHOWN = ("slot", "attempt", "retry_of", "reason", "error")

#: Changes of a trial that change nothing; what a write names takes their place.
EMPTY: Mapping[str, list[Any]] = {"keys": [], "values": []}
NOTHING: Mapping[str, Any] = {"params": {**EMPTY, "types": []}, "user": EMPTY, "system": EMPTY, "steps": EMPTY}

distribution_from = lru_cache(maxsize=4096)(json_to_distribution)


def state_from(name: str) -> TrialState:
    """Optuna's state; to Optuna, a trial that was lost has failed."""
    return TrialState.FAIL if name == "LOST" else TrialState[name]


def pack(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """*values* as a list of keys and a list of JSON texts; NaN and infinities are written as Python does."""
    return {"keys": list(values), "values": [json.dumps(value) for value in values.values()]}


def pack_params(params: Mapping[str, Any], types: Mapping[str, BaseDistribution]) -> dict[str, list[str]]:
    """*params* likewise, with a list of the distributions that they were drawn from."""
    return {**pack(params), "types": [distribution_to_json(types[name]) for name in params]}


def pack_steps(steps: Mapping[int, float]) -> dict[str, list[Any]]:
    """Intermediate values by step, as two lists."""
    return {"keys": list(steps), "values": [float(value) for value in steps.values()]}


def unpack(row: Row, name: str) -> dict[str, Any]:
    """The map *name* of a node."""
    return dict(zip(row[f"{name}_keys"], map(json.loads, row[f"{name}_values"]), strict=True))


def params_of(row: Row) -> dict[str, Any]:
    """What a trial tries: its parameters in the order in which they were drawn, and what the space holds fixed."""
    return {**unpack(row, "param"), **json.loads(row.get("constants") or "{}")}


def steps_of(row: Row) -> dict[int, float]:
    """The values that a trial has reported, by step, in order."""
    return dict(sorted(zip(row["step_keys"], row["step_values"], strict=True)))


def types_of(row: Row) -> dict[str, BaseDistribution]:
    """The distributions that the parameters of a trial were drawn from."""
    return dict(zip(row["param_keys"], map(distribution_from, row["param_types"]), strict=True))


def directions_of(row: Row) -> list[StudyDirection]:
    """The directions of a study, one for each objective."""
    return [StudyDirection[name] for name in row["directions"]]


def metrics_of(row: Row) -> dict[str, float | None]:
    """The metrics that a trial was told with."""
    return dict(json.loads(row.get("metrics") or "{}"))


def trial_from(row: Row) -> FrozenTrial:
    """A trial as Optuna knows it, made of its node."""
    shown = {name: row[name] for name in SHOWN if row.get(name) is not None}
    metrics = {f"metric.{name}": value for name, value in metrics_of(row).items()}
    return FrozenTrial(
        trial_id=row["trial_id"],
        number=row["number"],
        state=state_from(row["state"]),
        value=None,
        values=row.get("values"),
        datetime_start=_local(row.get("started_at")),
        datetime_complete=_local(row.get("ended_at")),
        params=unpack(row, "param"),
        distributions=types_of(row),
        user_attrs={**unpack(row, "user"), **shown, **metrics},
        system_attrs=unpack(row, "system"),
        intermediate_values=steps_of(row),
    )


def node_of(trial: FrozenTrial) -> dict[str, Any]:
    """The properties of a new node for *trial*; its ids are given by the graph."""
    parts = {
        "param": pack_params(trial.params, trial.distributions),
        "user": pack(trial.user_attrs),
        "system": pack(trial.system_attrs),
        "step": pack_steps(trial.intermediate_values),
    }
    return {
        "state": trial.state.name,
        "values": floats(trial.values),
        "started_at": trial.datetime_start and aware(trial.datetime_start),
        "ended_at": trial.datetime_complete and aware(trial.datetime_complete),
        **{f"{name}_{key}": items for name, part in parts.items() for key, items in part.items()},
    }


def floats(values: Sequence[float] | None) -> list[float] | None:
    """*values* as floats, since a list in a node holds one type."""
    return None if values is None else [float(value) for value in values]


def aware(moment: datetime) -> datetime:
    """A time of Optuna's, which is local and does not say so, in UTC."""
    return moment.astimezone(UTC)


def _local(moment: datetime | None) -> datetime | None:
    return moment and moment.astimezone().replace(tzinfo=None)
