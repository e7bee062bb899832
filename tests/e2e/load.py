"""Requests to a deployment without a pause, and how each was answered."""

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx


class Load:
    """One row, sent over and over from some threads for as long as the block lasts."""

    def __init__(self, url: str, row: Mapping[str, Any], *, threads: int = 3) -> None:
        self.url, self.answers = url, Counter[tuple[int, str]]()
        self._body = {"dataframe_records": [dict(row)]}
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def _ask(self) -> None:
        with httpx.Client(timeout=30) as http:
            while not self._stop.is_set():
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
