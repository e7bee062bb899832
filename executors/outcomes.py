"""What the ends of the slots mean for the run."""

from collections.abc import Mapping, Sequence
from typing import Any

from lineage.runs import Outcome, RunState

S = RunState

#: Signals by which a process ends itself, by a fault of its own or of a library that it uses.
FAULTS = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP"})
#: Verdicts of slots that say nothing about the work: it was ended, and nobody knows how it would have gone.
ENDED = {"CANCELED": S.CANCELED, "TERMINATED": S.LOST, "STALE_GENERATION": S.LOST}
#: Which reason to give where slots ended for several.
WEIGHT = ("OOM", "INVALID_INPUT", "ENVIRONMENT", "USER_CODE", "PROCESSES", "DISK", "UNAVAILABLE", "ERROR", "FAULT")
MEBIBYTE = 1024 * 1024
FAULT = 70  # exit code of trial.py after a fault of its own, which leaves no verdict


def judge(
    end: Mapping[str, Any], *, is_tuning: bool, is_whole: bool, was_asked: bool, limits: Mapping[str, Any], tail: str
) -> Outcome:
    """Say how a run ended whose slots ended as *end*, the content of exit.json, tells.

    Args:
        is_whole: whether the results have their manifest.
        was_asked: whether somebody of ours asked the work to stop.
        tail: the last lines of the log.
    """
    slots: Sequence[Mapping[str, Any]] = end["slots"]
    done = [slot for slot in slots if _word(slot) == "DONE"]
    if done and (is_tuning or is_whole):
        return Outcome(state=S.SUCCEEDED, log_tail=tail)
    if end.get("timed_out"):
        message = f"it took longer than the {limits.get('seconds') or 0:g} s that it may, and was ended"
        return Outcome(state=S.TIMED_OUT, reason="TIMEOUT", message=message, log_tail=tail)
    if end.get("stopped"):
        return _canceled(tail) if was_asked else _lost("somebody outside asked it to stop", tail)
    found = sorted((_of_slot(slot, limits, tail) for slot in slots), key=_weight)
    return found[0] if found else _lost("no slot was started", tail)


def lost(was_asked: bool, tail: str) -> Outcome:
    """The outcome of work that left no word of its end."""
    return _canceled(tail) if was_asked else _lost("it ended without a word: killed from outside, or a restart", tail)


def _canceled(tail: str) -> Outcome:
    return Outcome(state=S.CANCELED, reason="CANCELED", message="it was asked to stop", log_tail=tail)


def _lost(message: str, tail: str) -> Outcome:
    return Outcome(state=S.LOST, reason="LOST", message=message, log_tail=tail)


def _word(slot: Mapping[str, Any]) -> str | None:
    verdict = slot.get("verdict") or {}
    return verdict.get("reason")


def _weight(outcome: Outcome) -> int:
    return WEIGHT.index(outcome.reason) if outcome.reason in WEIGHT else len(WEIGHT)


def _of_slot(slot: Mapping[str, Any], limits: Mapping[str, Any], tail: str) -> Outcome:
    word, message = _word(slot), (slot.get("verdict") or {}).get("message")
    if word in ENDED:
        reason = {S.CANCELED: "CANCELED"}.get(ENDED[word], "LOST")
        return Outcome(state=ENDED[word], reason=reason, message=message, log_tail=tail)
    if word == "DONE":
        return _failed("ERROR", "it ended well but left no whole results", tail)
    if word is not None:
        return _failed(word, message, tail)
    return _of_crash(slot, limits, tail)


def _of_crash(slot: Mapping[str, Any], limits: Mapping[str, Any], tail: str) -> Outcome:
    number, code = slot.get("signal"), slot.get("code")
    if slot.get("oom"):
        allowed = limits.get("memory_bytes")
        room = f"the {allowed // MEBIBYTE} MiB that it may have" if allowed else "this machine has to give"
        return _failed("OOM", f"it needs more memory than {room}", tail)
    if code == FAULT:
        return _failed("FAULT", "the platform's own part of the work failed; the log has its traceback", tail)
    if slot.get("killed_for"):
        return _failed(slot["killed_for"], _excess(slot["killed_for"], limits), tail)
    if number in FAULTS:
        return _failed("USER_CODE", f"the process crashed by {number}", tail)
    if number is not None:
        return _lost(f"the process was killed by {number} from outside", tail)
    return _failed("USER_CODE", f"the process ended itself with exit code {code} before its work was done", tail)


def _excess(of: str, limits: Mapping[str, Any]) -> str:
    if of == "DISK":
        allowed = limits.get("disk_bytes")
        room = f"the {allowed // MEBIBYTE} MiB that it may" if allowed else "any run may"
        return f"it wrote more to disk than {room}; ask for more with resources.diskBytes"
    if of == "TIMEOUT":
        return "its trials took longer than each may, again and again"
    return f"it started more than the {limits.get('processes')} processes and threads that it may"


def _failed(reason: str, message: str | None, tail: str) -> Outcome:
    return Outcome(state=S.FAILED, reason=reason, message=message, log_tail=tail)
