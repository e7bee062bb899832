"""Verdicts on what was made again, without anything being made."""

import pytest

from lineage.reproducibility import Comparison, Digest, Reproduced, Surrounding, Value, surroundings_of, values_of

SAME, OTHER = (Digest(what="f", recorded="a", reproduced=each) for each in ("a", "b"))


def a_value(reproduced: float | None) -> Value:
    """A metric that was 0.5."""
    return Value(metric="f1", recorded=0.5, reproduced=reproduced)


@pytest.mark.parametrize(
    ("digests", "values", "verdict"),
    [
        ([SAME], [], Reproduced.EQUAL),
        ([SAME, OTHER], [a_value(0.4)], Reproduced.EQUAL),
        ([OTHER], [], Reproduced.DIFFERENT),
        ([OTHER, SAME], [], Reproduced.EQUIVALENT),
        ([OTHER, OTHER], [a_value(0.5)], Reproduced.EQUIVALENT),
        ([OTHER, OTHER], [a_value(0.5), a_value(0.6)], Reproduced.DIFFERENT),
        ([OTHER, OTHER], [a_value(None)], Reproduced.DIFFERENT),
    ],
)
def test_the_verdict(digests: list[Digest], values: list[Value], verdict: Reproduced) -> None:
    """Bytes come first, then predictions, then metrics; what is unknown is never the same."""
    assert verdict is Comparison(digests=digests, values=values).verdict


def test_a_training_set_is_equal_when_all_of_its_files_are() -> None:
    """With two files of its own, one that differs is a difference, whatever the other says."""
    assert Reproduced.DIFFERENT is Comparison(digests=[OTHER, SAME], own=2).verdict
    assert Reproduced.EQUAL is Comparison(digests=[SAME, SAME], own=2).verdict


def test_how_far_metrics_are_apart() -> None:
    """A metric that was recorded stands beside what it is now; one that is undefined has no difference."""
    found = values_of({"f1": 0.5, "mcc": None, "r2": 0.25, "auc": None}, {"f1": 0.75, "r2": None, "auc": 1.0})

    assert [("auc", None), ("f1", 0.25), ("r2", None)] == [(each.metric, each.difference) for each in found]


def test_what_differs_about_the_place() -> None:
    """Packages that came, went or changed are named, and the interpreter with them."""
    before = {"python": "3.11.2", "machine": "x86_64", "packages": {"numpy": "2.0", "six": "1.0"}}
    after = {"python": "3.11.4", "machine": "x86_64", "packages": {"numpy": "2.1"}}

    assert [
        Surrounding(name="numpy", recorded="2.0", reproduced="2.1"),
        Surrounding(name="python", recorded="3.11.2", reproduced="3.11.4"),
        Surrounding(name="six", recorded="1.0", reproduced=None),
    ] == surroundings_of(before, after)
