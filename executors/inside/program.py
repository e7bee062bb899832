"""The model's own code: seen whole before it runs, loaded once, called under one of its contracts."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from executors.inside.verdicts import End, InvalidJob, of_user_code

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1024 * 1024
CONTRACTS = ("build", "train", "spark")


def sha256_of(path: Path) -> str:
    """The digest of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def tree(root: Path) -> dict[str, Any]:
    """The source tree as it lies here: `files`, [[path, sha256], …] sorted by path, and the `digest` of that list."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    files = sorted([path.relative_to(root).as_posix(), sha256_of(path)] for path in paths)
    text = json.dumps(files, separators=(",", ":"), ensure_ascii=False)
    return {"files": files, "digest": hashlib.sha256(text.encode()).hexdigest()}


def seed_all(seed: int) -> None:
    """Make the global random generators start alike, so that the same values give the same model."""
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed % 2**32)


class Program:
    """A loaded source tree; *entry* is `file.py:function`, *contract* `build`, `train` or `spark`."""

    def __init__(self, root: Path, entry: str, contract: str) -> None:
        if contract not in CONTRACTS:
            raise InvalidJob(f"unknown contract {contract!r}; known: {', '.join(CONTRACTS)}")
        self.contract = contract
        self.seen = tree(root)
        self._module, self._function = _load(root, entry)
        #: The format that the code wants its model saved in.
        self.format = str(getattr(self._module, "FORMAT", "skops"))

    def call(self, argument: Any) -> Any:
        """Call the entry point; what it raises becomes a verdict on the user's code."""
        return guarded(self._function, argument)


def guarded(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call into the user's code: whatever it raises, even SystemExit, becomes a verdict on it."""
    try:
        return function(*arguments)
    except End:
        raise
    except (Exception, SystemExit) as error:  # foreign code may raise anything, and each is a verdict on it
        raise of_user_code(error) from error


def _load(root: Path, entry: str) -> tuple[ModuleType, Callable[..., Any]]:
    file, _, name = entry.partition(":")
    path = root / file
    if not name or not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        raise InvalidJob(f"the entry point {entry!r} is not 'file.py:function' of the code's own files")
    for folder in dict.fromkeys((str(root), str(path.parent))):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    module = guarded(_import, path, ".".join(Path(file).with_suffix("").parts))
    function = getattr(module, name, None)
    if not callable(function):
        raise InvalidJob(f"{file} has no function {name!r}")
    return module, function


def _import(path: Path, name: str) -> ModuleType:
    parent = name.rpartition(".")[0]
    if parent:
        importlib.import_module(parent)  # a namespace package, or the user's own
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise InvalidJob(f"{path.name} is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # before it runs, so that classes it defines can be found when a model is saved
    specification.loader.exec_module(module)
    return module
