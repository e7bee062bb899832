"""Model files: written under their format, and read only after their digest and their types are known."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from executors.inside.program import guarded, sha256_of
from executors.inside.verdicts import InvalidJob, UserCode, need

FILES = {"skops": "model.skops", "pickle": "model.pkl"}


def save(model: Any, out: Path, form: str, *, allow_pickle: bool) -> dict[str, Any]:
    """Write *model* into *out* and return what is known of the file: path, sha256, bytes, format, types."""
    if form not in FILES:
        raise InvalidJob(f"the code asks for the format {form!r}; known: {', '.join(FILES)}")
    if form == "pickle" and not allow_pickle:
        raise InvalidJob("the code asks for FORMAT = 'pickle', which is not allowed here; LINEAGE_ALLOW_PICKLE=1 does")
    path = out / FILES[form]
    fresh = path.with_name(f"{path.name}.new")
    types = _save_skops(model, fresh) if form == "skops" else _save_pickle(model, fresh)
    os.replace(fresh, path)
    stat = path.stat()
    return {"path": path.name, "sha256": sha256_of(path), "bytes": stat.st_size, "format": form, "types": types}


def _save_skops(model: Any, path: Path) -> list[str]:
    io = need("skops.io", "skops")
    try:
        guarded(io.dump, model, path)
        return sorted(guarded(lambda: io.get_untrusted_types(file=path)))
    except UserCode as error:
        message = f"the model, a {type(model).__name__}, cannot be saved by skops: {error}"
        raise UserCode(f"{message}; FORMAT = 'pickle' in the code is the other way, where it is allowed") from error


def _save_pickle(model: Any, path: Path) -> list[str]:
    with path.open("wb") as stream:
        guarded(pickle.dump, model, stream, 5)
    return []


def load(root: Path, given: dict[str, Any]) -> Any:
    """Read the model that the job gives.

    Raises:
        InvalidJob: its bytes are others than were recorded, it holds types outside the job's list, or it is a pickle
            and the job does not allow one. Nothing of it has been executed then.
    """
    path = root / given["path"]
    if not path.is_file():
        raise InvalidJob(f"there is no model file {given['path']!r}")
    actual = sha256_of(path)
    if actual != given["sha256"]:
        raise InvalidJob(f"the model file has the digest {actual}, recorded is {given['sha256']}: it was changed")
    if given.get("format", "skops") == "pickle":
        if not given.get("allow_pickle"):
            raise InvalidJob("the model is a pickle, which runs code when it is read, and the job does not allow that")
        with path.open("rb") as stream:
            return guarded(pickle.load, stream)
    return _load_skops(path, list(given.get("allowed_types") or ()))


def _load_skops(path: Path, allowed: list[str]) -> Any:
    io = need("skops.io", "skops")
    try:
        found = guarded(lambda: io.get_untrusted_types(file=path))
    except UserCode as error:
        raise InvalidJob(f"the model file cannot be read by skops: {error}") from error
    foreign = sorted(set(found) - set(allowed))
    if foreign:
        raise InvalidJob(f"the model holds types that are not allowed: {', '.join(foreign)}")
    return guarded(lambda: io.load(path, trusted=sorted(found)))
