"""How long one slot has been at its present trial, as the shepherd sees it from outside."""

from __future__ import annotations

from pathlib import Path

from executors import folder


class TrialClock:
    """Watches the note that a slot leaves of its trial; *limit* is in seconds, None for no limit."""

    def __init__(self, note: Path, limit: float | None) -> None:
        self._note, self._limit = note, limit
        self._stamp: int | None = None
        self._began: float | None = None

    def restart(self) -> None:
        """A new process begins: what the note says is of the one before."""
        self._stamp, self._began = self._stamped(), None

    def is_over(self, now: float) -> bool:
        """Whether the present trial has taken too long; *now* is monotonic, in seconds."""
        if self._limit is None:
            return False
        stamp = self._stamped()
        if stamp != self._stamp:
            self._stamp, self._began = stamp, now if is_under_way(self._note) else None
        return self._began is not None and now - self._began > self._limit

    def _stamped(self) -> int | None:
        try:
            return self._note.stat().st_mtime_ns
        except OSError:
            return None


def is_under_way(note: Path) -> bool:
    """Whether the slot was in the midst of a trial when it wrote *note* last, and not waiting for the API."""
    found = folder.read(note)
    return found is not None and "trial" in found and not found.get("is_paused")
