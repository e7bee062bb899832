"""Versions under a specifier, held against tuples of numbers; what does not compare is told."""

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies

from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import InvalidInput
from lineage.packages import parse, sort

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
releases = strategies.lists(strategies.integers(0, 12), min_size=1, max_size=4)
bounds = strategies.lists(strategies.tuples(strategies.sampled_from(sorted(OPERATORS)), releases), max_size=3)


def a_package(version: str, index: str = "pypi") -> Artifact:
    """A version of one package."""
    return Artifact(kind=ArtifactKind.PACKAGE, name="thing", namespace=index, version=version, digest=version)


def padded(release: list[int]) -> list[int]:
    """A release with the zeros that it may leave out."""
    return release + [0] * (4 - len(release))


@given(strategies.lists(releases, max_size=12), bounds)
def test_releases_fall_under_a_specifier_as_their_numbers_do(made: list[list[int]], asked: Any) -> None:
    """Numbers compare as numbers, with zeros left out or not; the matching ones are in the order of versions."""
    packages = {version: a_package(version) for version in (".".join(map(str, each)) for each in made)}
    specifier = ",".join(f"{sign}{'.'.join(map(str, release))}" for sign, release in asked)

    found = sort(packages.values(), specifier)

    expected = {
        version
        for version in packages
        if all(OPERATORS[sign](padded([*map(int, version.split("."))]), padded(release)) for sign, release in asked)
    }
    matching = [each.version for each in found.matching]
    assert (expected, len(expected)) == (set(matching), len(matching))
    assert sorted(padded([*map(int, each.split("."))]) for each in matching) == [
        padded([*map(int, each.split("."))]) for each in matching
    ]
    assert packages.keys() - expected == {each.version for each in found.others}


@pytest.mark.parametrize(
    ("index", "version", "where"),
    [
        ("pypi", "1.4.2", "matching"),
        ("pypi", "1.5rc1", "others"),  # `<1.5` leaves out what leads to 1.5, by PEP 440
        ("pypi", "1.4rc1", "matching"),
        ("pypi", "1.10", "others"),
        ("pypi", "1.4.2+cu121", "matching"),
        ("pypi", "1.4-final-really", "incomparable"),
        ("conda", "1.4.2", "matching"),
        ("conda", "1!1.0", "others"),
        ("conda", "1.1.1w", "incomparable"),  # in conda it comes before 1.1.1
        ("conda", "2024a", "incomparable"),
        ("conda", "9e", "incomparable"),
        ("conda", "1.4_3", "incomparable"),
        ("npm", "1.4.0-beta.1", "incomparable"),
    ],
)
def test_what_does_not_compare_is_told(index: str, version: str, where: str) -> None:
    """A version that PEP 440 may order otherwise than its own index is neither under the specifier nor outside it."""
    found = sort([a_package(version, index)], "<1.5")

    told = {"matching": found.matching, "others": found.others, "incomparable": found.incomparable}
    assert [where] == [name for name, members in told.items() if members]
    assert all(version in each.reason for each in found.incomparable)


def test_a_requirement_is_a_name_and_a_specifier() -> None:
    """A name may stand alone; extras, markers and addresses are refused, and so is what is no specifier."""
    assert ("scikit-learn", "<1.5") == parse("scikit-learn<1.5")
    assert ("numpy", "") == parse("numpy")
    for text in ("numpy[extra]<2", "numpy<2; python_version<'3.9'", "numpy @ https://example.org/numpy.whl", "<2", ""):
        with pytest.raises(InvalidInput, match="scikit-learn<1"):
            parse(text)
    with pytest.raises(InvalidInput, match="PEP 440") as caught:
        sort([], "below 1.5")
    assert "specifier" == caught.value.field
