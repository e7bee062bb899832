"""The planner on graphs of any shape: each step once, behind what it depends on, and nothing that is not needed."""

import random
from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.artifacts import ArtifactKind
from lineage.cycle.planning import NOTHING_NEWER, Item, arrange, reached
from lineage.plans import Source, Step, StepState

K, S = ArtifactKind, StepState
KINDS = (K.FEATURE_SET, K.TRAINING_SET, K.MODEL, K.PREDICTIONS, K.DEPLOYMENT)


def kept(role: str, id: str) -> Source:
    """An input that stays what it was, unless it is made again."""
    return Source(role=role, recorded=id, chosen=id)


def newer(role: str) -> Source:
    """An input that has a newer version."""
    return Source(role=role, recorded=f"{role}-1", chosen=f"{role}-2")


def an_item(id: str, *sources: Source, kind: ArtifactKind = K.MODEL, **more: object) -> Item:
    """Something that would be made again, under a name of its own."""
    return Item(**{"id": id, "kind": kind, "name": id, "sources": sources, **more})  # type: ignore[arg-type]


@st.composite
def graphs(draw: st.DrawFn) -> list[Item]:
    """Items of all kinds on each other in any shape; some have newer inputs of their own, some cannot be made."""
    items: list[Item] = []
    for number in range(draw(st.integers(1, 12))):
        below = draw(st.lists(st.sampled_from(items), unique_by=lambda each: each.id, max_size=4)) if items else []
        sources = [kept(f"in-{each.id}", each.id) for each in below]
        sources += [newer(f"data-{number}")] if draw(st.booleans()) else [kept("code", "code-1")]
        blockers = ("no data",) if draw(st.integers(0, 7)) == 0 else ()
        kind = draw(st.sampled_from(KINDS))
        items.append(an_item(f"item-{number}", *sources, kind=kind, blockers=blockers, seconds=1.0))
    return items


def is_new(id: str, items: dict[str, Item]) -> bool:
    """Whether anything that an item is made of, at any depth, has changed or is said to be wrong."""
    item = items[id]
    own = any(each.chosen != each.recorded for each in item.sources)
    return (
        own
        or bool(item.blockers)
        or any(is_new(each.recorded or "", items) for each in item.sources if each.recorded in items)
    )


@given(graphs(), st.randoms(use_true_random=False))
def test_each_stands_once_and_behind_what_it_depends_on(items: list[Item], dice: random.Random) -> None:
    """Every item with something new is one step; its inputs are steps before it; no order of the items matters."""
    known = {each.id: each for each in items}
    steps = arrange(items, goals=known)
    shuffled = list(items)
    dice.shuffle(shuffled)
    where = {id: step for step in steps for id in step.of}

    assert steps == arrange(shuffled, goals=known)
    assert sorted(known) == sorted(id for step in steps for id in step.of)
    assert list(range(1, len(steps) + 1)) == [step.number for step in steps]
    for step in steps:
        below = {each.recorded for each in known[step.of[0]].sources if each.recorded in known}
        assert {where[id or ""].number for id in below} == set(step.after)
        assert all(number < step.number for number in step.after)
        assert step.level == max((1 + where[id or ""].level for id in below), default=0)


@given(graphs())
def test_blocked_is_what_cannot_be_made_and_what_depends_on_it(items: list[Item]) -> None:
    """A step is blocked exactly when it, or what it depends on, has a blocker or nothing newer."""
    known = {each.id: each for each in items}
    steps = {step.number: step for step in arrange(items, goals=known)}

    for step in steps.values():
        item = known[step.of[0]]
        expected = bool(item.blockers) or not is_new(item.id, known)
        expected = expected or any(steps[number].state is S.BLOCKED for number in step.after)
        stuck = any(steps[number].state is S.BLOCKED for number in step.after)
        assert (step.state is S.BLOCKED) == bool(step.blockers)
        assert (step.state is S.BLOCKED) == (expected or stuck)


@given(graphs())
def test_what_has_nothing_new_is_left_as_it_is(items: list[Item]) -> None:
    """Without goals the steps are those with something new, and what is left is taken as it was."""
    known = {each.id: each for each in items}
    steps = arrange(items, goals=())

    assert {id for id in known if is_new(id, known)} == {id for step in steps for id in step.of}
    for step in steps:
        assert all(
            each.chosen == each.recorded for each in step.sources if each.role.startswith("in-") and not each.step
        )


def test_what_would_be_made_in_the_same_way_is_one_step() -> None:
    """Two versions of one feature set come out the same over the newest data: they are made once, for both."""
    first, second = (an_item(id, newer("dataset:d"), kind=K.FEATURE_SET, name="set") for id in ("a", "b"))
    model = an_item("m", kept("feature_set", "b"))

    made, trained = arrange([model, second, first], goals=["m"])

    assert ("a", "b") == tuple(made.of)
    assert [made.number] == trained.after


def test_nothing_newer_is_a_blocker_of_goals_alone() -> None:
    """What was asked for and would come out the same is blocked; what it is made of is only left out."""
    below, model = an_item("t", kept("code", "c"), kind=K.TRAINING_SET), an_item("m", kept("training_set", "t"))

    (step,) = arrange([below, model], goals=["m"])

    assert ("m", S.BLOCKED, (NOTHING_NEWER,)) == (step.name, step.state, step.blockers)


def test_a_circle_is_refused() -> None:
    """What depends on itself has no order."""
    with pytest.raises(CycleError):
        arrange([an_item("a", kept("x", "b")), an_item("b", kept("x", "a"))], goals=["a"])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30), st.sets(st.integers(0, 9), max_size=3))
def test_what_is_reached(pairs: list[tuple[int, int]], starts: set[int]) -> None:
    """The answer holds the starts, all that depends on what it holds, and nothing else."""
    named = [(str(source), str(target)) for source, target in pairs]
    found = reached(map(str, starts), named)
    grown = set(map(str, starts))
    for _ in range(10):
        grown |= {source for source, target in named if target in grown}

    assert grown == found


def levels(steps: tuple[Step, ...]) -> list[int]:
    """The levels of steps."""
    return [step.level for step in steps]


def test_independent_ones_stand_side_by_side() -> None:
    """Two models on one training set are of one level, and what scores with both comes behind both."""
    rows = an_item("t", newer("feature_set"), kind=K.TRAINING_SET)
    models = [an_item(id, kept("training_set", "t")) for id in ("m1", "m2")]
    both = an_item("p", kept("a", "m1"), kept("b", "m2"), kind=K.PREDICTIONS)

    assert [0, 1, 1, 2] == levels(arrange([both, *models, rows], goals=["p"]))
