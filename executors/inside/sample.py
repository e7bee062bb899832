"""A sample of the rows that a scoring server answers: bounded, the newer the likelier, for watching drift."""

from __future__ import annotations

import heapq
import json
import math
import os
import random
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

HALF_LIFE = 86_400.0  # seconds after which a row is half as likely to be kept as a new one
WRITE_SECONDS = 1.0
TEXT_LIMIT = 4_096  # characters of text in a row; one that has more is not kept
LEAST = 1e-300


class Sample:
    """At most *size* rows in the file at *path*, each kept as likely as its age says.

    A row gets a key that is drawn once, and the rows with the greatest keys are kept: sampling without replacement
    by weights (P. S. Efraimidis and P. G. Spirakis, *Weighted random sampling with a reservoir*, 2006), the weights
    growing with the time of arrival (G. Cormode and others, *Forward decay*, 2009). So samples are joined by keeping
    the greatest keys of both.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._names: list[str] = []
        self._rows: list[tuple[float, int, float, list[Any]]] = []  # a heap; the number tells equal keys apart
        self._count, self._written = 0, 0
        self._draw, self._lock, self._closed = random.Random(), threading.Lock(), threading.Event()
        self._writer = threading.Thread(target=self._keep_writing, daemon=True)

    def add(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Consider rows that were answered, as columns of values."""
        now = time.time()
        with self._lock:
            self._names = list(columns)
            for row in zip(*columns.values()):  # noqa: B905  # environments have their own Python
                self._count += 1
                key = now * math.log(2) / HALF_LIFE - math.log(max(self._draw.expovariate(1.0), LEAST))
                is_full = len(self._rows) == self._size
                if (is_full and key <= self._rows[0][0]) or sum(_texts(row)) > TEXT_LIMIT:
                    continue
                put = heapq.heapreplace if is_full else heapq.heappush
                put(self._rows, (key, self._count, now, [_plain(each) for each in row]))

    def __enter__(self) -> None:
        """Write what is new to the file from now on, every second."""
        self._writer.start()

    def __exit__(self, *_: object) -> None:
        """Write for the last time."""
        self._closed.set()
        self._writer.join()

    def _keep_writing(self) -> None:
        while not self._closed.wait(WRITE_SECONDS):
            self._write()
        self._write()

    def _write(self) -> None:
        with self._lock:
            count, names, rows = self._count, self._names, list(self._rows)
        if count == self._written:
            return
        fresh = self._path.with_name(self._path.name + ".new")
        text = json.dumps({"columns": names, "rows": [[key, at, row] for key, _, at, row in rows]})
        try:
            fresh.write_text(text, "utf-8")
            os.replace(fresh, self._path)
            self._written = count
        except OSError as error:  # a full disk is no reason to answer nobody
            print(f"the sample of rows was not kept: {error}", flush=True)


def _texts(row: Sequence[Any]) -> Iterator[int]:
    return (len(each) for each in row if isinstance(each, str))


def _plain(value: Any) -> Any:
    """*value* as JSON knows it; a number that is missing is none."""
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value
