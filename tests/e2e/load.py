"""Requests to a deployment without a pause, and how each was answered."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx


class Load:
    """One row, sent over and over from some threads for as long as the block lasts.

    Args:
        pause: seconds that a thread rests between two requests.
        params: what is asked of the model beside the row.
    """

    def __init__(
        self,
        url: str,
        row: Mapping[str, Any],
        *,
        threads: int = 3,
        pause: float = 0,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        self.url, self.answers, self._pause = url, Counter[tuple[int, str]](), pause
        self._body = {"dataframe_records": [dict(row)], **({"params": dict(params)} if params else {})}
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self) -> None:
        with httpx.Client(timeout=30) as http:
            while not self._stop.wait(self._pause):
                answer = http.post(self.url, json=self._body)
                with self._lock:
                    self.answers[answer.status_code, answer.text] += 1

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
