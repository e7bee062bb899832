"""The driver's line to the API while Spark works: beats, what is done, and the word to stop."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from http.client import HTTPException
from typing import Any

from executors.inside.protocol import Heart, Protocol
from executors.inside.verdicts import End, Stale

BEAT, GRACE = 5.0, 10.0


class Watch:
    """Beats while the jobs of Spark run, and has them cancelled when the API says stop or time is up."""

    def __init__(self, spark: Any, line: dict[str, Any] | None, seconds: float | None, *, tasks: int) -> None:
        self._spark, self._over = spark, threading.Event()
        #: How many tasks the stage has whose progress is told; 0 where none is.
        self.tasks = tasks
        self._timer = threading.Timer(seconds, self._late) if seconds else None
        self.is_late = False
        self.heart: Heart | None = None
        self._protocol = Protocol.of(line, slot="0") if line else None
        if line and self._protocol:
            self.heart = Heart(self._protocol, interval=float(line.get("beat") or BEAT), grace=GRACE)
            self.heart.progress = self._done

    @property
    def stopped_by(self) -> BaseException | None:
        """Why the API wants no more of it, if it does not."""
        return self.heart.stopped_by if self.heart else None

    def __enter__(self) -> Watch:
        self._before = signal.signal(signal.SIGTERM, lambda number, frame: self._cancel())
        for each in (self._timer, self.heart):
            if each is not None:
                each.daemon = True
                each.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        if self.heart is not None:
            self.heart.rest()
        if self._timer is not None:
            self._timer.cancel()
        signal.signal(signal.SIGTERM, self._before)

    def tell_end(self) -> None:
        """Say that all the rows are scored, unless nobody hears it."""
        if self._protocol is not None:
            with suppress(OSError, HTTPException, End, Stale):
                self._protocol.beat(1.0)

    def _done(self) -> float | None:
        """The part of the tasks that are done."""
        tracker = self._spark.statusTracker()
        stages = [tracker.getStageInfo(each) for each in tracker.getActiveStageIds()]
        parts = [each.numCompletedTasks / each.numTasks for each in stages if each and each.numTasks == self.tasks]
        return min(max(parts), 1.0) if parts else None

    def _late(self) -> None:
        self.is_late = True
        self._cancel()

    def _cancel(self) -> None:
        threading.Thread(target=self._keep_cancelling, daemon=True).start()

    def _keep_cancelling(self) -> None:
        while not self._over.is_set():  # one that is asked for between two jobs reaches neither
            self._spark.cancelAllJobs()
            self._over.wait(0.5)
