"""What the ends of slots mean for the run."""

from typing import Any

import pytest

from executors.outcomes import judge
from lineage.runs import RunState

S = RunState


def slot(reason: str | None = None, message: str | None = None, **rest: Any) -> dict[str, Any]:
    """How one slot ended."""
    verdict = {"reason": reason, "message": message} if reason else None
    return {"slot": 0, "code": 0, "signal": None, "oom": False, "killed_for": None, "verdict": verdict, **rest}


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ([slot("DONE")], (S.SUCCEEDED, None)),
        ([slot("DONE"), slot(signal="SIGSEGV")], (S.SUCCEEDED, None)),
        ([slot("USER_CODE", "x"), slot("OOM")], (S.FAILED, "OOM")),
        ([slot("UNAVAILABLE"), slot("UNAVAILABLE")], (S.FAILED, "UNAVAILABLE")),
        ([slot("CANCELED")], (S.CANCELED, "CANCELED")),
        ([slot("STALE_GENERATION")], (S.LOST, "LOST")),
        ([slot("TERMINATED")], (S.LOST, "LOST")),
        ([slot(signal="SIGKILL")], (S.LOST, "LOST")),
        ([slot(signal="SIGKILL", oom=True)], (S.FAILED, "OOM")),
        ([slot(signal="SIGSEGV")], (S.FAILED, "USER_CODE")),
        ([slot(signal="SIGKILL", killed_for="PROCESSES")], (S.FAILED, "PROCESSES")),
        ([slot(code=70)], (S.FAILED, "FAULT")),
        ([slot(code=3)], (S.FAILED, "USER_CODE")),
        ([], (S.LOST, "LOST")),
    ],
)
def test_slots(slots: list[dict[str, Any]], expected: tuple[RunState, str | None]) -> None:
    """The gravest end is the run's, but a search is over when one slot has heard that it is."""
    end = {"slots": slots, "stopped": False, "timed_out": False}

    outcome = judge(end, is_tuning=True, is_whole=False, was_asked=False, limits={}, tail="last lines")

    assert expected == (outcome.state, outcome.reason)
    assert "last lines" == outcome.log_tail


@pytest.mark.parametrize(
    ("given", "was_asked", "state"),
    [
        ({"stopped": True}, True, S.CANCELED),
        ({"stopped": True}, False, S.LOST),
        ({"timed_out": True}, False, S.TIMED_OUT),
        ({"timed_out": True, "stopped": True}, True, S.TIMED_OUT),
        ({}, False, S.FAILED),
    ],
)
def test_ends(given: dict[str, bool], was_asked: bool, state: RunState) -> None:
    """Who ended it, and why, tells a cancel from a loss; an end without whole results is no success."""
    end = {"slots": [slot("DONE")], "stopped": False, "timed_out": False, **given}

    outcome = judge(end, is_tuning=False, is_whole=False, was_asked=was_asked, limits={"seconds": 5.0}, tail="")

    assert state == outcome.state


def test_whole_results_count() -> None:
    """Work that was whole before anybody asked it to stop has succeeded."""
    end = {"slots": [slot("DONE")], "stopped": True, "timed_out": False}

    outcome = judge(end, is_tuning=False, is_whole=True, was_asked=True, limits={}, tail="")

    assert S.SUCCEEDED == outcome.state
