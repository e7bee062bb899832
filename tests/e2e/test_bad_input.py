"""Whatever a user gets wrong is a clear error over the API, and leaves nothing half-made in the graph."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lineage.artifacts import ArtifactKind
from lineage.client import Run
from lineage.errors import InvalidInput
from lineage.runs import RunState
from tests.e2e.worlds import World, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

CODE = """
import os, sys, time
from sklearn.linear_model import LogisticRegression


def build(params):
    return LogisticRegression(C=params.get("C", 1.0), max_iter=500)


def raises(params):
    raise RuntimeError("the wings fell off")


def hangs(params):
    if params["C"] > 0.1:
        time.sleep(600)
    return build(params)


def exits(params):
    os._exit(3)


def prints(params):
    line = b"x" * 1023 + b"\\n"
    for _ in range(2**10):
        os.write(1, line * 2**10)
    return build(params)


def allocates(params):
    held = []
    while True:
        held.append(bytearray(2**24))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Everything running."""
    with running(tmp_path_factory.mktemp("world"), CODE) as world:
        yield world


def ended(world: World, run: Run) -> Run:
    """The run as it ended, which may be badly."""
    return world.client.wait(run, check=False)


def train(world: World, entry: str, **more: object) -> Run:
    """Start a fit with a function of the code."""
    code = world.client.register_model_code(entry, world.code, f"code.py:{entry}")
    given = {name: world.inputs[name] for name in ("training_set", "environment", "metrics")}
    return world.client.train(entry, model_code=code, **given, **more)  # type: ignore[arg-type]


def ragged(folder: Path) -> Path:
    """A CSV file whose third line has too many values."""
    path = folder / "ragged.csv"
    path.write_text("a,b\n1,2\n3,4,5,6\n")
    return path


def empty(folder: Path) -> Path:
    """A CSV file of a header alone."""
    path = folder / "empty.csv"
    path.write_text("a,b\n")
    return path


def missing(folder: Path) -> Path:
    """A path where nothing is."""
    return folder / "missing.csv"


@pytest.mark.parametrize(
    ("make", "reason", "said"),
    [(missing, "NOT_FOUND", "missing.csv"), (ragged, "INVALID_INPUT", "Line: 3"), (empty, "INVALID_INPUT", "no rows")],
)
def test_a_bad_table(world: World, tmp_path: Path, make: Callable[[Path], Path], reason: str, said: str) -> None:
    """A table that cannot be read is a failed run which names it; there is no dataset afterwards."""
    run = ended(world, world.client.register_dataset(f"bad-{make.__name__}", make(tmp_path)))

    assert (RunState.FAILED, reason) == (run.state, run.reason), run.message
    assert said in str(run.message)
    assert [] == world.client.search(f"bad-{make.__name__}")


def test_a_label_of_one_class(world: World) -> None:
    """Where there is nothing to tell apart the search says so, and no model is made."""
    client = world.client
    feature = client.define_feature("radius", "cells.mean_radius", "cells", ["cells.id"])
    label = client.define_feature("always", "cells.target >= 0", "cells", ["cells.id"])
    members = client.define_feature_set("one-class", [feature], label)
    made = ended(
        world,
        client.create_training_set("one-class", members, {"by": "HASH", "validate": 0.2, "test": 0.2, "seed": 1}),
    )

    assert (RunState.FAILED, "INVALID_INPUT") == (made.state, made.reason)
    assert "has one value" in str(made.message)


def test_bad_definitions_are_refused_at_once(world: World) -> None:
    """A space with low above high and an unknown metric are refused by the field, and nothing is queued."""
    with pytest.raises(InvalidInput, match="low"):
        world.client.define_search_space("upside-down", {"C": {"type": "float", "low": 2, "high": 1}})
    with pytest.raises(InvalidInput, match="roc_auc"):
        world.client.define_metric("roc_acu")
    with pytest.raises(InvalidInput, match="trialSeconds"):
        world.tune("endless", "code.py:build", trial_seconds=0)
    with pytest.raises(InvalidInput, match="maxFailedTrials"):
        world.tune("endless", "code.py:build", max_failed_trials=-1)


def test_a_version_that_does_not_resolve(world: World) -> None:
    """The resolver's own words tell which version there is not."""
    run = ended(world, world.client.register_environment("none-such", ["scikit-learn==0.0.99"]))

    assert (RunState.FAILED, "RESOLUTION") == (run.state, run.reason)
    assert "scikit-learn==0.0.99" in str(run.message)


def test_code_that_goes_wrong(world: World) -> None:
    """Code that raises, exits or takes all memory is a failed run with its reason; one that prints is cut short."""
    limits = {"memory_bytes": 700 * 2**20, "seconds": 120}
    runs = {name: train(world, name, resources=limits) for name in ("raises", "exits", "allocates", "prints")}

    found = {name: ended(world, run) for name, run in runs.items()}

    assert {"raises": "USER_CODE", "exits": "USER_CODE", "allocates": "OOM", "prints": None} == {
        name: run.reason for name, run in found.items()
    }
    assert "the wings fell off" in str(found["raises"].message)
    assert "exit code 3" in str(found["exits"].message)
    assert RunState.SUCCEEDED is found["prints"].state
    assert len(world.log(found["prints"])) < 3 * 2**20
    assert [[], [], []] == [list(found[name].generated) for name in ("raises", "exits", "allocates")]


def test_a_search_whose_trials_fail_ends_early(world: World) -> None:
    """More failures than allowed end the search at once, with the words of the last one."""
    run = ended(world, world.tune("fails", "code.py:raises", trials=200, max_failed_trials=2))

    assert (RunState.FAILED, "USER_CODE") == (run.state, run.reason)
    assert "more than the 2 that may" in str(run.message)
    assert "the wings fell off" in str(run.message)
    assert 3 <= len(world.client.trials(run)) <= 4
    assert "RUNNING" not in {trial.state for trial in world.client.trials(run)}


def test_a_trial_that_hangs_does_not_hold_up_the_search(world: World) -> None:
    """A trial over its time has failed with TIMEOUT; the others go on to a model."""
    run = ended(world, world.tune("hangs", "code.py:hangs", trials=4, sampler="random", trial_seconds=3))

    trials = world.client.trials(run)
    assert RunState.SUCCEEDED is run.state
    assert {("COMPLETE", None), ("FAIL", "TIMEOUT")} == {(trial.state, trial.reason) for trial in trials}


def test_a_search_holds_what_is_given(world: World) -> None:
    """A value that the space could not draw is refused at once; one that it could is that of every trial and model."""
    with pytest.raises(InvalidInput, match="not between"):
        world.tune("held", hyperparameters={"C": 11.0})
    run = ended(world, world.tune("held", hyperparameters={"C": 0.25}, trials=2, sampler="random"))

    assert RunState.SUCCEEDED is run.state
    assert [{"C": 0.25}, {"C": 0.25}] == [trial.params for trial in world.client.trials(run)]
    assert {"C": 0.25} == run.made(ArtifactKind.HYPERPARAMETERS).body["values"]
