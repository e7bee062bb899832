"""Samples of rows: bounded, the newer the likelier, joined with no row twice, whatever lies in their place."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from executors import samples
from executors.inside import sample as inside
from lineage.artifacts import Artifact, ArtifactKind


def deployed(size: int) -> Artifact:
    """A version that keeps *size* rows."""
    return Artifact.defined(ArtifactKind.DEPLOYMENT, "cells", {"sample": size})


def written(root: Path, size: int, *batches: list[Any]) -> Path:
    """The folder of a replica that was asked *batches* of the one column n."""
    (root / "out").mkdir(parents=True, exist_ok=True)
    with (kept := inside.Sample(root / "out" / "sample.json", size)):
        for each in batches:
            kept.add({"n": each})
    return root


def test_no_more_rows_than_it_may_have(tmp_path: Path) -> None:
    """Of many rows so many are kept, spread over all of them; a row of too much text is none of them."""
    root = written(tmp_path, 100, [*range(5_000)], ["x" * 5_000, *range(5_000, 10_000)])

    found = samples.gather(tmp_path, deployed(100), [str(root)])

    assert found is not None
    values = [each.values[0] for each in found.rows]
    assert 100 == len(set(values))
    assert 15 < sum(each < 5_000 for each in values) < 85  # 50 with a deviation of 5: seven of them
    assert all(isinstance(each, int) for each in values)


def test_the_newer_the_likelier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that is older by the half-life has half the chance, one that is a week older hardly any."""
    kept = inside.Sample(tmp_path / "sample.json", 900)
    present = time.time()
    for days, rows in ((7.0, 10_000), (1.0, 10_000), (0.0, 10_000)):
        monkeypatch.setattr(time, "time", lambda days=days: present - days * inside.HALF_LIFE)
        kept.add({"days": [days] * rows})
    with kept:
        pass
    found = [row[2][0] for row in json.loads((tmp_path / "sample.json").read_text())["rows"]]

    assert 900 == len(found)
    assert 1.5 < found.count(0.0) / found.count(1.0) < 2.7
    assert found.count(7.0) < 30


def test_what_ended_is_joined_with_what_runs(tmp_path: Path) -> None:
    """Rows of a replica that has ended are kept, once however often that is done, until they are dropped."""
    home, version = tmp_path / "home", deployed(30)
    ended, running = written(tmp_path / "a", 30, [*range(30)]), written(tmp_path / "b", 30, [*range(30, 40)])
    for _ in range(2):
        samples.keep(home, version, str(ended))
    found = samples.gather(home, version, [str(ended), str(running)])
    alone = samples.gather(home, version, [])
    (mode,) = {each.stat().st_mode & 0o777 for each in (home / "samples").iterdir()}
    samples.drop(home, version)

    assert found is not None
    assert alone is not None
    assert (30, 30, 0o600) == (len({each.key for each in found.rows}), len(alone.rows), mode)
    assert any(each.values[0] >= 30 for each in found.rows)
    assert samples.gather(home, version, []) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "7", "[]", "[" * 100_000, '{"columns": ["n"]}', '{"columns": 1, "rows": []}'),
        *('{"columns": ["n"], "rows": [[1, 2, [3, 4]]]}', '{"columns": ["n"], "rows": [[NaN, 2, [3]]]}'),
        '{"columns": ["n"], "rows": [[1, Infinity, [3]]]}',
    ],
    ids=range(9),
)
def test_what_is_no_sample_is_none(tmp_path: Path, text: str) -> None:
    """A scoring server may write what it likes: what is no sample counts as none."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sample.json").write_text(text)

    assert samples.gather(tmp_path, deployed(3), [str(tmp_path)]) is None


def test_links_lead_nowhere(tmp_path: Path) -> None:
    """Neither a link in the place of the file nor one in that of its folder is followed."""
    real = written(tmp_path / "real", 3, [1])
    for name in ("file", "folder"):
        (tmp_path / name).mkdir()
    (tmp_path / "file" / "out").mkdir()
    (tmp_path / "file" / "out" / "sample.json").symlink_to(real / "out" / "sample.json")
    (tmp_path / "folder" / "out").symlink_to(real / "out")
    pipe = tmp_path / "pipe" / "out"
    pipe.mkdir(parents=True)
    os.mkfifo(pipe / "sample.json")

    found = [samples.gather(tmp_path, deployed(3), [str(tmp_path / name)]) for name in ("file", "folder", "pipe")]

    assert [None] * 3 == found
    assert samples.gather(tmp_path, deployed(3), [str(real)]) is not None
