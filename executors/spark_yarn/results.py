"""What an application has left on the cluster's file system, put into the workspace."""

import json
import shutil
import tarfile
from pathlib import Path
from typing import IO, Any

from executors import folder
from executors.inside import results
from executors.spark_yarn import batch, parts
from executors.spark_yarn.staging import Staging
from executors.spark_yarn.submission import ROWS, is_computed
from lineage.errors import ExecutionFailed, LineageError, Unavailable


def collect(root: Path, name: str, staging: Staging) -> dict[str, Any] | None:
    """What the application has left below *name*, once more where somebody died over it; None where there is nothing.

    See `unpack`; `error` also stands for results that cannot be joined.
    """
    if not (root / "results.tar").exists() and not staging.get(f"{name}/results.tar", root / "results.tar"):
        return None
    end = unpack(root)
    answers = answered(root)
    try:
        if end.get("scored") or answers:
            _take_answers(root, name, staging, end.get("scored"), answers)
        if end.get("made"):
            for split in end["made"]["rows"]:
                _take(root, name, staging, f"splits/{split}")
            parts.join(root)
            shutil.rmtree(root / "splits")
    except LineageError as error:
        if isinstance(error, Unavailable) or getattr(error, "reason", None) == "UNAVAILABLE":
            raise
        return {"error": str(error)}
    return end


def _take_answers(
    root: Path, name: str, staging: Staging, scored: dict[str, str] | None, answers: dict[str, dict[str, str]]
) -> None:
    """Make the files of predictions of what the cluster has written."""
    if is_computed(root):
        _take(root, name, staging, "keys")
        parts.lay_down(root)
    if scored:
        _take(root, name, staging, "predictions")
        gather(root, scored)
        return
    for split in answers:  # each by itself: a folder is fetched without the folders in it
        _take(root, name, staging, f"predictions/{split}")
    gather_splits(root, answers)


def _take(root: Path, name: str, staging: Staging, path: str) -> None:
    """Fetch a folder that is not here yet."""
    (root / path).parent.mkdir(exist_ok=True)
    if not (root / path).exists():
        staging.get(f"{name}/{path}", root / path)


def unpack(root: Path) -> dict[str, Any]:
    """Put the slots' results into the workspace and say how they ended; see `executors.outcomes.judge`.

    Returns:
        Or `error` where the driver has left no results, and beside the rest `scored` where rows were spread, `made`
        where a training set was, and the executors that were `lost`.
    """
    slots: list[dict[str, Any]] = []
    stopped = timed_out = False
    (root / "slots").mkdir(exist_ok=True)
    scored = made = None
    with tarfile.open(root / "results.tar") as archive, (root / "log").open("wb") as log:
        lost = _json(archive, "lost.json").get("lost") or []
        if "error.json" in archive.getnames():
            return {"error": _json(archive, "error.json").get("message"), "lost": lost}
        numbers = [each for each in archive.getmembers() if each.name.endswith(".tar")]
        members = sorted(numbers, key=lambda each: int(each.name.partition(".")[0]))
        for member in members:
            with tarfile.open(fileobj=archive.extractfile(member)) as slot:
                end = _one(slot, root, log)
            slots += end["slots"]
            stopped, timed_out = stopped or end["stopped"], timed_out or end["timed_out"]
            scored, made = end.get("scored") or scored, end.get("made") or made
    for each in slots:
        folder.write(root / "slots" / f"{each['slot']}.json", {**each, "state": "ENDED"})
    ended = {"slots": slots, "stopped": stopped, "timed_out": timed_out}
    return {**ended, "scored": scored, "made": made, "lost": lost}


def _json(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    """What a member says; nothing where there is none."""
    stream = archive.extractfile(name) if name in archive.getnames() else None
    found = json.load(stream) if stream else {}
    return found if isinstance(found, dict) else {}


def _one(slot: tarfile.TarFile, root: Path, log: IO[bytes]) -> dict[str, Any]:
    """Take what one slot has left; only plain files below its folder of results."""
    end: dict[str, Any] = {"slots": [], "stopped": False, "timed_out": False}
    for member in slot:
        stream, path = slot.extractfile(member) if member.isreg() else None, Path(member.name)
        if stream is None or path.is_absolute() or ".." in path.parts:
            continue
        if member.name == "exit.json":
            end = json.load(stream)
        elif member.name == "log":
            shutil.copyfileobj(stream, log)
        elif path.parts[0] == "out":
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            with (root / path).open("wb") as target:
                shutil.copyfileobj(stream, target)
    return end


def gather(root: Path, answers: dict[str, str]) -> None:
    """Make one file of predictions of the parts that the cluster has written; the manifest comes last."""
    _join(root, ROWS, root / "predictions", "predictions.parquet", answers)
    results.manifest(root / "out")


def answered(root: Path) -> dict[str, dict[str, str]]:
    """Split → column → its name in the predictions, where a model of Spark ML has answered."""
    found = folder.read(root / "out" / "answers.json") or {}
    return {str(split): names for split, names in found.items() if isinstance(names, dict)}


def gather_splits(root: Path, answers: dict[str, dict[str, str]]) -> None:
    """The same of each split that the job has asked for, under the names that one process gives their files."""
    job = folder.read(root / "job.json") or {}
    paths = {**job.get("data", {}), **((job.get("predict") or {}).get("data") or {})}
    is_alone = job.get("mode") == "predict" and len(answers) == 1
    for split, names in answers.items():
        if split not in paths:
            raise ExecutionFailed(f"the cluster has answered for {split!r}, which the job does not name", reason="LOST")
        name = "predictions.parquet" if is_alone else f"predictions/{split}.parquet"
        _join(root, paths[split], root / "predictions" / split, name, names)
    results.manifest(root / "out")


def _join(root: Path, rows: str, parts: Path, name: str, answers: dict[str, str]) -> None:
    job = folder.read(root / "job.json") or {}
    kept = [*job.get("entity", ()), *([job["label"]] if job.get("label") else [])]
    target = root / "out" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    batch.join(root / rows, parts, target, kept=kept, answers=answers)
