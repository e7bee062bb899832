"""Search spaces as data: what may be tuned, within which bounds, and under which conditions."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

from lineage.errors import InvalidInput

KEYS: Mapping[str, frozenset[str]] = {
    "float": frozenset({"type", "low", "high", "log", "step", "when"}),
    "int": frozenset({"type", "low", "high", "log", "step", "when"}),
    "categorical": frozenset({"type", "choices", "when"}),
    "constant": frozenset({"type", "value", "when"}),
}


class Suggests(Protocol):
    """What a space needs of a trial: Optuna's own methods."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number between *low* and *high*."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """A whole number between *low* and *high*."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of *choices*."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One hyperparameter: its type with its bounds, and *when* it exists (other parameters → their values)."""

    name: str
    spec: Mapping[str, Any]

    @property
    def when(self) -> Mapping[str, Sequence[Any]]:
        """The values of other parameters for which this one exists; empty means always."""
        return self.spec.get("when") or {}

    def suggest(self, trial: Suggests) -> Any:
        """Draw a value from *trial*."""
        spec = self.spec
        match spec["type"]:
            case "float":
                log = bool(spec.get("log", False))
                return trial.suggest_float(self.name, spec["low"], spec["high"], step=spec.get("step"), log=log)
            case "int":
                step, log = spec.get("step") or 1, bool(spec.get("log", False))
                return trial.suggest_int(self.name, spec["low"], spec["high"], step=step, log=log)
            case "categorical":
                return trial.suggest_categorical(self.name, list(spec["choices"]))
        return spec["value"]

    def check(self, value: Any) -> None:
        """Raise InvalidInput when *value* is not one that could be drawn."""
        spec = self.spec
        if spec["type"] in {"categorical", "constant"}:
            choices = spec["choices"] if spec["type"] == "categorical" else [spec["value"]]
            if not any(_same(value, choice) for choice in choices):
                raise InvalidInput(f"{value!r} is not among {list(choices)}", field=self.name)
            return
        if not _is_number(value) or (spec["type"] == "int" and value != int(value)):
            raise InvalidInput(f"{value!r} is not a finite {spec['type']}", field=self.name)
        if not spec["low"] <= value <= spec["high"]:
            raise InvalidInput(f"{value!r} is not between {spec['low']} and {spec['high']}", field=self.name)
        steps = (value - spec["low"]) / spec.get("step", 1)
        if "step" in spec and not math.isclose(steps, round(steps), abs_tol=1e-9):
            raise InvalidInput(f"{value!r} is not a number of steps of {spec['step']} above the low", field=self.name)


@dataclass(frozen=True, kw_only=True)
class SearchSpace:
    """Parameters in an order in which each comes behind those that its condition names."""

    parameters: Sequence[Parameter]

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> Self:
        """Read `{"parameters": {name: {"type": …, …}}}`; raise InvalidInput naming the part that makes no sense."""
        given = body.get("parameters")
        if not isinstance(given, Mapping) or not given:
            raise InvalidInput("a search space needs at least one parameter", field="parameters")
        parameters = {name: Parameter(name=name, spec=_checked(name, spec)) for name, spec in given.items()}
        for parameter in parameters.values():
            _check_conditions(parameter, parameters)
        return cls(parameters=_ordered(parameters))

    def canonical(self) -> dict[str, Any]:
        """The same as JSON, without what is only a default: equal spaces give equal JSON."""
        return {"parameters": {parameter.name: dict(parameter.spec) for parameter in self.parameters}}

    def suggest(self, trial: Suggests) -> dict[str, Any]:
        """Draw values for all parameters whose conditions hold."""
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if _holds(parameter, values):
                values[parameter.name] = parameter.suggest(trial)
        return values

    def fixed(self, values: Mapping[str, Any]) -> Self:
        """The same space with some parameters held at *values*, without those that can then never exist.

        Raise InvalidInput for a parameter that the space does not have, or a value that it could not draw.
        """
        self._check_known(values)
        kept: dict[str, Parameter] = {}
        for parameter in self.parameters:
            when = {name: _left(choices, values, name) for name, choices in parameter.when.items()}
            if not all(choices and name in kept for name, choices in when.items()):
                if parameter.name in values:
                    raise InvalidInput("its condition does not hold, so it has no value", field=parameter.name)
                continue
            spec = dict(parameter.spec)
            if parameter.name in values:
                parameter.check(values[parameter.name])
                spec = {"type": "constant", "value": values[parameter.name]}
            kept[parameter.name] = Parameter(name=parameter.name, spec=spec | ({"when": when} if when else {}))
        return replace(self, parameters=list(kept.values()))

    def check(self, values: Mapping[str, Any]) -> None:
        """Raise InvalidInput when *values* could not have been drawn from this space."""
        self._check_known(values)
        for parameter in self.parameters:
            if not _holds(parameter, values):
                if parameter.name in values:
                    raise InvalidInput("its condition does not hold, so it has no value", field=parameter.name)
                continue
            if parameter.name not in values:
                raise InvalidInput("the value is missing", field=parameter.name)
            parameter.check(values[parameter.name])

    def _check_known(self, names: Iterable[str]) -> None:
        known = [parameter.name for parameter in self.parameters]
        for name in names:
            if name not in known:
                raise InvalidInput.unknown("hyperparameter", name, known, field="hyperparameters")


def _checked(name: str, spec: Any) -> dict[str, Any]:
    path = f"parameters.{name}"
    if not isinstance(spec, Mapping):
        raise InvalidInput(f"{path} must be an object", field=path)
    type_ = str(spec.get("type"))
    if type_ not in KEYS:
        raise InvalidInput.unknown("type", type_, sorted(KEYS), field=f"{path}.type")
    for key in spec:
        if key not in KEYS[type_]:
            raise InvalidInput.unknown("key", str(key), sorted(KEYS[type_]), field=f"{path}.{key}")
    kept = {key: value for key, value in spec.items() if value is not None and value is not False and key != "when"}
    if type_ == "constant":
        kept["value"] = spec.get("value")
    elif type_ == "categorical":
        _check_choices(path, kept)
    else:
        _check_bounds(path, type_, kept)
    if spec.get("when"):
        kept["when"] = spec["when"]
    return kept


def _check_choices(path: str, spec: dict[str, Any]) -> None:
    choices = spec.get("choices")
    if not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
        raise InvalidInput(f"{path}.choices must be a list with at least one value", field=f"{path}.choices")
    for choice in choices:
        if not (choice is None or isinstance(choice, str | bool) or _is_number(choice)):
            raise InvalidInput(f"{path}.choices may hold text, numbers, booleans and null", field=f"{path}.choices")
    if any(_same(one, other) for at, one in enumerate(choices) for other in choices[:at]):
        raise InvalidInput(f"{path}.choices names a value twice", field=f"{path}.choices")
    spec["choices"] = list(choices)


def _check_bounds(path: str, type_: str, spec: dict[str, Any]) -> None:
    for key in ("low", "high"):
        if not _is_number(spec.get(key)) or (type_ == "int" and spec[key] != int(spec[key])):
            raise InvalidInput(f"{path}.{key} must be a finite {type_}", field=f"{path}.{key}")
        spec[key] = int(spec[key]) if type_ == "int" else float(spec[key])
    if spec["low"] > spec["high"]:
        raise InvalidInput(f"{path}: low {spec['low']} is above high {spec['high']}", field=f"{path}.low")
    _check_scale(path, type_, spec)


def _check_scale(path: str, type_: str, spec: dict[str, Any]) -> None:
    step, is_int = spec.get("step"), type_ == "int"
    if step is not None:
        if not _is_number(step) or step <= 0 or (is_int and step != int(step)):
            raise InvalidInput(f"{path}.step must be a {type_} above 0", field=f"{path}.step")
        spec["step"] = int(step) if is_int else float(step)
        if is_int and step == 1:
            del spec["step"]  # the default: equal spaces are equal JSON
    if "log" not in spec:
        return
    if spec["log"] is not True:
        raise InvalidInput(f"{path}.log must be true or false", field=f"{path}.log")
    if spec["low"] <= 0:
        raise InvalidInput(f"{path}: a log scale needs a low above 0", field=f"{path}.low")
    if "step" in spec:
        raise InvalidInput(f"{path}: log and step do not go together", field=f"{path}.step")


def _check_conditions(parameter: Parameter, known: Mapping[str, Parameter]) -> None:
    path = f"parameters.{parameter.name}.when"
    if not isinstance(parameter.when, Mapping):
        raise InvalidInput(f"{path} must map parameters to lists of values", field=path)
    for name, values in parameter.when.items():
        if name not in known or name == parameter.name:
            others = [each for each in known if each != parameter.name]
            raise InvalidInput.unknown("parameter of a condition", name, others, field=path)
        if not isinstance(values, Sequence) or isinstance(values, str) or not values:
            raise InvalidInput(f"{path}.{name} must be a list of values", field=path)
        for value in values:
            try:
                known[name].check(value)
            except InvalidInput as error:
                raise InvalidInput(f"{path}.{name} can never hold: {error}", field=path) from error


def _ordered(parameters: Mapping[str, Parameter]) -> list[Parameter]:
    done: dict[str, Parameter] = {}
    waiting = dict(sorted(parameters.items()))
    while waiting:
        ready = [name for name, each in waiting.items() if all(other in done for other in each.when)]
        if not ready:
            raise InvalidInput(f"the conditions of {', '.join(waiting)} form a circle", field="parameters")
        done |= {name: waiting.pop(name) for name in ready}
    return list(done.values())


def _holds(parameter: Parameter, values: Mapping[str, Any]) -> bool:
    return all(
        name in values and any(_same(values[name], allowed) for allowed in choices)
        for name, choices in parameter.when.items()
    )


def _left(choices: Sequence[Any], fixed: Mapping[str, Any], name: str) -> list[Any]:
    """Those of *choices* that *name* can still have."""
    return [choice for choice in choices if name not in fixed or _same(fixed[name], choice)]


def _same(one: Any, other: Any) -> bool:
    """Equal, and not merely as True equals 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
