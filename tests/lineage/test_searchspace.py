"""Search spaces as data: what is refused and where, and what is drawn."""

from typing import Any

import optuna
import pytest

from lineage.errors import InvalidInput
from lineage.searchspace import SearchSpace

KERNELS = {
    "gamma": {"type": "float", "low": 1e-3, "high": 1, "log": True, "when": {"kernel": ["rbf"]}},
    "kernel": {"type": "categorical", "choices": ["rbf", "linear"]},
    "C": {"type": "float", "low": 0.1, "high": 10},
    "degree": {"type": "int", "low": 2, "high": 8, "step": 2},
    "seed": {"type": "constant", "value": 7},
}


def space(**parameters: Any) -> SearchSpace:
    """A space of *parameters*."""
    return SearchSpace.parse({"parameters": parameters})


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (None, "parameters.x"),
        ([1], "parameters.x"),
        ({}, "parameters.x.type"),
        ({"type": "double", "low": 1, "high": 2}, "parameters.x.type"),
        ({"type": ["int"], "low": 1, "high": 2}, "parameters.x.type"),
        ({"type": "int", "low": 1, "hihg": 2}, "parameters.x.hihg"),
        ({"type": "categorical", "choices": [1], "low": 1}, "parameters.x.low"),
        ({"type": "int", "high": 2}, "parameters.x.low"),
        ({"type": "int", "low": 1}, "parameters.x.high"),
        ({"type": "int", "low": 1, "high": 2.5}, "parameters.x.high"),
        ({"type": "int", "low": "1", "high": 2}, "parameters.x.low"),
        ({"type": "int", "low": False, "high": True}, "parameters.x.low"),
        ({"type": "float", "low": 0, "high": float("nan")}, "parameters.x.high"),
        ({"type": "float", "low": 0, "high": float("inf")}, "parameters.x.high"),
        ({"type": "float", "low": 2, "high": 1}, "parameters.x.low"),
        ({"type": "float", "low": 0, "high": 1, "log": True}, "parameters.x.low"),
        ({"type": "float", "low": 1, "high": 2, "log": "no"}, "parameters.x.log"),
        ({"type": "float", "low": 1, "high": 2, "log": True, "step": 0.5}, "parameters.x.step"),
        ({"type": "float", "low": 1, "high": 2, "log": True, "step": 1}, "parameters.x.step"),
        ({"type": "float", "low": 1, "high": 2, "step": 0}, "parameters.x.step"),
        ({"type": "float", "low": 1, "high": 2, "step": -1}, "parameters.x.step"),
        ({"type": "float", "low": 1, "high": 2, "step": "1"}, "parameters.x.step"),
        ({"type": "int", "low": 1, "high": 9, "step": 0.5}, "parameters.x.step"),
        ({"type": "categorical"}, "parameters.x.choices"),
        ({"type": "categorical", "choices": []}, "parameters.x.choices"),
        ({"type": "categorical", "choices": "ab"}, "parameters.x.choices"),
        ({"type": "categorical", "choices": [[1]]}, "parameters.x.choices"),
        ({"type": "categorical", "choices": [1, 1]}, "parameters.x.choices"),
        ({"type": "categorical", "choices": [1, 1.0]}, "parameters.x.choices"),
        ({"type": "categorical", "choices": [float("nan")]}, "parameters.x.choices"),
        ({"type": "int", "low": 1, "high": 2, "when": ["y"]}, "parameters.x.when"),
        ({"type": "int", "low": 1, "high": 2, "when": {"z": [1]}}, "parameters.x.when"),
        ({"type": "int", "low": 1, "high": 2, "when": {"x": [1]}}, "parameters.x.when"),
        ({"type": "int", "low": 1, "high": 2, "when": {"y": "a"}}, "parameters.x.when"),
        ({"type": "int", "low": 1, "high": 2, "when": {"y": []}}, "parameters.x.when"),
        ({"type": "int", "low": 1, "high": 2, "when": {"y": ["never"]}}, "parameters.x.when"),
    ],
)
def test_a_bad_parameter_names_its_part(spec: Any, field: str) -> None:
    """What makes no sense is refused with the path of the part that is wrong."""
    with pytest.raises(InvalidInput) as caught:
        space(x=spec, y={"type": "categorical", "choices": ["a", "b"]})

    assert field == caught.value.field


@pytest.mark.parametrize("body", [{}, {"parameters": {}}, {"parameters": []}, {"parameters": None}])
def test_an_empty_space_is_refused(body: dict[str, Any]) -> None:
    """A space has at least one parameter."""
    with pytest.raises(InvalidInput, match="at least one"):
        SearchSpace.parse(body)


def test_a_circle_is_refused() -> None:
    """Parameters that wait for one another can never be drawn."""
    wheel = {"type": "categorical", "choices": ["a", "b"]}

    with pytest.raises(InvalidInput, match="circle"):
        space(x={**wheel, "when": {"y": ["a"]}}, y={**wheel, "when": {"x": ["a"]}})


def test_a_slip_of_the_pen_gets_an_offer() -> None:
    """An unknown type is answered with the nearest."""
    with pytest.raises(InvalidInput, match="did you mean 'categorical'"):
        space(x={"type": "categoric", "choices": [1]})


def test_equal_spaces_are_equal_json() -> None:
    """Order and spelled-out defaults change nothing, and the canonical form reads back as itself."""
    one = SearchSpace.parse({"parameters": KERNELS}).canonical()
    other = dict(reversed(KERNELS.items())) | {"C": {"type": "float", "low": 0.1, "high": 10.0, "log": False}}

    assert one == SearchSpace.parse({"parameters": other}).canonical()
    assert one == SearchSpace.parse(one).canonical()
    assert list(one["parameters"]) == list(SearchSpace.parse({"parameters": other}).canonical()["parameters"])


def test_conditions_decide_what_is_drawn() -> None:
    """With Optuna's own trials every draw is within its bounds, and gamma is there exactly with rbf."""
    tuned = SearchSpace.parse({"parameters": KERNELS})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [tuned.suggest(study.ask()) for _ in range(60)]

    assert {"rbf", "linear"} == {each["kernel"] for each in drawn}
    assert [each["kernel"] == "rbf" for each in drawn] == ["gamma" in each for each in drawn]
    assert {2, 4, 6, 8} == {each["degree"] for each in drawn}
    assert {7} == {each["seed"] for each in drawn}
    for each in drawn:
        tuned.check(each)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"kernel": "poly"}, "kernel"),
        ({"kernel": None}, "kernel"),
        ({"C": 11}, "C"),
        ({"C": "1"}, "C"),
        ({"C": True}, "C"),
        ({"degree": 2.5}, "degree"),
        ({"degree": 3}, "degree"),
        ({"seed": 8}, "seed"),
        ({"Kernel": "rbf"}, "hyperparameters"),
        ({"gamma": 0.1}, "gamma"),
    ],
)
def test_values_that_cannot_be_drawn_are_refused(values: dict[str, Any], field: str) -> None:
    """Each value is held against its own parameter, and one whose condition does not hold may not be there."""
    tuned = SearchSpace.parse({"parameters": KERNELS})
    good = {"kernel": "linear", "C": 1.0, "degree": 4, "seed": 7}
    tuned.check(good)

    with pytest.raises(InvalidInput) as caught:
        tuned.check({**good, **values})
    assert field == caught.value.field


def test_a_missing_value_is_named() -> None:
    """What the space would have drawn must be there."""
    tuned = SearchSpace.parse({"parameters": KERNELS})

    with pytest.raises(InvalidInput, match="missing") as caught:
        tuned.check({"kernel": "rbf", "C": 1.0, "degree": 4, "seed": 7})
    assert caught.value.field == "gamma"


def test_true_is_not_one() -> None:
    """Conditions and choices tell booleans from numbers."""
    tuned = space(
        flag={"type": "categorical", "choices": [True, False]},
        depth={"type": "int", "low": 1, "high": 2, "when": {"flag": [True]}},
    )

    with pytest.raises(InvalidInput):
        tuned.check({"flag": 1, "depth": 1})
    tuned.check({"flag": True, "depth": 1})
    tuned.check({"flag": False})


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, {"C", "degree", "gamma", "kernel", "seed"}),
        ({"C": 1.0}, {"C", "degree", "gamma", "kernel", "seed"}),
        ({"kernel": "rbf", "gamma": 0.5}, {"C", "degree", "gamma", "kernel", "seed"}),
        ({"kernel": "linear"}, {"C", "degree", "kernel", "seed"}),
        ({"gamma": 0.5}, {"C", "degree", "gamma", "kernel", "seed"}),
    ],
)
def test_a_fixed_space_draws_what_the_whole_one_could(values: dict[str, Any], names: set[str]) -> None:
    """Parameters held at values keep them in every draw, and those that can no longer exist are gone."""
    whole = SearchSpace.parse({"parameters": KERNELS})
    held = whole.fixed(values)

    assert names == {parameter.name for parameter in held.parameters}
    assert held == SearchSpace.parse(held.canonical())
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        drawn = held.suggest(study.ask())
        whole.check(drawn)
        assert {name: value for name, value in values.items() if name in drawn}.items() <= drawn.items()


def test_what_hangs_on_what_is_gone_is_gone_too() -> None:
    """A condition on a parameter that can no longer exist never holds."""
    chain = space(
        a={"type": "categorical", "choices": ["x", "y"]},
        b={"type": "int", "low": 1, "high": 3, "when": {"a": ["x"]}},
        c={"type": "int", "low": 1, "high": 3, "when": {"b": [1, 2]}},
    )

    assert ["a"] == [parameter.name for parameter in chain.fixed({"a": "y"}).parameters]
    assert {"a": ["x"]} == chain.fixed({"a": "x"}).parameters[1].when
    assert {"b": [2]} == chain.fixed({"b": 2}).parameters[2].when


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"Kernel": "rbf"}, "hyperparameters"),
        ({"C": 0.01}, "C"),
        ({"degree": 3}, "degree"),
        ({"seed": 8}, "seed"),
        ({"kernel": "linear", "gamma": 0.1}, "gamma"),
    ],
)
def test_a_space_is_not_fixed_where_it_could_not_draw(values: dict[str, Any], field: str) -> None:
    """What is held must be a value that the space has, of a parameter that can then exist."""
    with pytest.raises(InvalidInput) as caught:
        SearchSpace.parse({"parameters": KERNELS}).fixed(values)
    assert field == caught.value.field
