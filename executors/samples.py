"""Samples of rows that deployments were asked: read from their replicas, joined, and kept beyond a replica's end."""

import json
import math
import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from executors import folder
from lineage.artifacts import Artifact
from lineage.endpoints import SAMPLE

LIMIT = 128 * 1024 * 1024  # bytes of a file that are read
LAST = 2.0**35  # seconds; long after every time that is told
#: Replicas of one version may end at the same time.
_turn = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row: the key by which samples are joined, when it was answered, and its values, one a column."""

    key: float
    at: float
    values: Sequence[Any]

    @property
    def is_sound(self) -> bool:
        """Whether its key can be compared, and its time is one."""
        return math.isfinite(self.key) and 0 <= self.at < LAST


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Rows that a deployment was asked."""

    columns: Sequence[str]
    rows: Sequence[Row]

    @property
    def seen(self) -> tuple[datetime, datetime]:
        """When the first of them was answered, and when the last."""
        times = [each.at for each in self.rows]
        first, last = (datetime.fromtimestamp(each, UTC) for each in (min(times), max(times)))
        return first, last

    @classmethod
    def read(cls, data: Any) -> Self | None:
        """Read it from what a scoring server has written; None for anything else."""
        try:
            columns = [str(each) for each in data["columns"]]
            rows = [Row(key=float(key), at=float(at), values=list(values)) for key, at, values in data["rows"]]
        except (TypeError, ValueError, KeyError):
            return None
        sound = all(len(each.values) == len(columns) and each.is_sound for each in rows)
        return cls(columns=columns, rows=rows) if sound else None


def gather(home: Path, deployment: Artifact, roots: Iterable[str]) -> Sample | None:
    """What a version of a deployment was asked, as its replicas at *roots* have it, and those that have ended."""
    found = [folder.read(_path(home, deployment), limit=LIMIT)]
    found += [folder.read_below(Path(root), SAMPLE, limit=LIMIT) for root in roots]
    return _joined([each for each in map(Sample.read, found) if each], int(deployment.body["sample"]))


def keep(home: Path, deployment: Artifact, root: str) -> None:
    """Keep what the replica at *root* was asked, which has ended."""
    with _turn:
        found = gather(home, deployment, [root])
        if found is None:
            return
        path = _path(home, deployment)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_name(f"{path.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            rows = [[each.key, each.at, each.values] for each in found.rows]
            json.dump({"columns": found.columns, "rows": rows}, stream)
        os.replace(fresh, path)


def drop(home: Path, deployment: Artifact) -> None:
    """Forget what replicas that have ended were asked."""
    with suppress(FileNotFoundError):
        _path(home, deployment).unlink()


def _path(home: Path, deployment: Artifact) -> Path:
    return home / "samples" / f"{deployment.id}.json"


def _joined(samples: Sequence[Sample], size: int) -> Sample | None:
    """The rows with the greatest keys; a row that two of them have is one."""
    rows = {row.key: row for each in samples for row in each.rows if each.columns == samples[0].columns}
    if not rows:
        return None
    kept = sorted(rows.values(), key=lambda each: -each.key)[:size]
    return Sample(columns=samples[0].columns, rows=kept)
