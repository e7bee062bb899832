"""Samplers, pruners and grids by name."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.errors import InvalidInput
from lineage.searchspace import SearchSpace
from lineage.tuning.strategies import PRUNERS, check_names, count_points, make_pruner, make_sampler, seed_of


def a_space(**parameters: Any) -> SearchSpace:
    """A search space of *parameters*."""
    return SearchSpace.parse({"parameters": parameters})


@pytest.mark.parametrize("name", ["tpe", "random", "qmc", "grid"])
def test_samplers_are_made(name: str) -> None:
    """Every sampler that needs nothing more can be made, without a warning."""
    check_names(sampler=name, pruner="none")
    assert make_sampler(name, seed=1, number=2) is not None


@pytest.mark.parametrize("name", sorted(PRUNERS))
def test_pruners_are_made(name: str) -> None:
    """Every pruner can be made."""
    check_names(sampler="tpe", pruner=name)
    assert make_pruner(name) is not None


def test_names_are_checked() -> None:
    """An unknown sampler or pruner is refused with what may have been meant, and the field that is wrong."""
    with pytest.raises(InvalidInput, match="did you mean 'random'") as caught:
        check_names(sampler="randm", pruner="none")
    assert caught.value.field == "sampler"
    with pytest.raises(InvalidInput, match="did you mean 'median'"):
        check_names(sampler="tpe", pruner="medain")


def test_what_is_missing_is_named() -> None:
    """A sampler whose package is not installed says which it is."""
    with pytest.raises(InvalidInput, match="needs the package 'torch'"):
        check_names(sampler="gp", pruner="none")


def test_each_trial_has_its_seed() -> None:
    """Seeds of trials differ among numbers and studies, and fit what samplers take."""
    seeds = {seed_of(study, number) for study in range(3) for number in range(50)}

    assert 150 == len(seeds)
    assert all(0 <= seed < 1 << 32 for seed in seeds)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_a_grid_without_conditions_is_a_product(sizes: list[int]) -> None:
    """The points are the product of the choices, counted up to the most that is asked for."""
    space = a_space(**{f"p{index}": {"type": "int", "low": 0, "high": size - 1} for index, size in enumerate(sizes)})
    product = 1
    for size in sizes:
        product *= size

    assert product == count_points(space, most=1000)
    assert min(product, 5) == count_points(space, most=5)


def test_a_grid_counts_along_conditions() -> None:
    """A parameter that is not there has no points; steps of numbers are points."""
    space = a_space(
        kernel={"type": "categorical", "choices": ["linear", "rbf"]},
        gamma={"type": "float", "low": 0.0, "high": 1.0, "step": 0.25, "when": {"kernel": ["rbf"]}},
        degree={"type": "int", "low": 2, "high": 8, "step": 3},
    )

    assert (1 + 5) * 3 == count_points(space, most=1000)


def test_a_grid_needs_steps() -> None:
    """A continuous parameter has no grid."""
    with pytest.raises(InvalidInput, match="step for 'x'"):
        count_points(a_space(x={"type": "float", "low": 0.0, "high": 1.0}), most=10)
