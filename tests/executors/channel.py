"""A channel of conda in a folder, with packages that a test makes."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import rattler.index

HOLDER = "/a/place/that/the/installer/replaces/with/the/one/where/the/prefix/lies"


def add(
    root: Path, name: str, version: str, files: Mapping[str, bytes], *, depends: Sequence[str] = (), subdir: str = ""
) -> None:
    """Put a package into the folder *root*; without a *subdir* it is for this machine's."""
    subdir = subdir or str(rattler.Subdir.current())
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "subdir": subdir}
    kind = {"noarch": "generic"} if subdir == "noarch" else {}
    members = {
        **files,
        "info/index.json": json.dumps({**index, **kind, "depends": list(depends)}).encode(),
        "info/paths.json": json.dumps({"paths_version": 1, "paths": [_path(*each) for each in files.items()]}).encode(),
    }
    target = root / subdir / f"{name}-{version}-0.tar.bz2"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:bz2") as archive:
        for path, data in members.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o755 if path.startswith("bin/") else 0o644
            archive.addfile(member, io.BytesIO(data))


def _path(path: str, data: bytes) -> Mapping[str, object]:
    shown = {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest()}
    held = {"prefix_placeholder": HOLDER, "file_mode": "text"} if HOLDER.encode() in data else {}
    return {**shown, "size_in_bytes": len(data), **held}


async def small(root: Path) -> str:
    """The address of a channel with two versions of `words`, and `speak`, which needs the first."""
    for version in ("1.0", "2.0"):
        add(root, "words", version, {"share/words.txt": f"words {version}\n".encode()}, subdir="noarch")
    speak = f"#!/bin/sh\ncat {HOLDER}/share/words.txt\n".encode()
    add(root, "speak", "1.0", {"bin/speak": speak}, depends=["words >=1,<2"])
    await rattler.index.index_fs(root)
    return root.as_uri()
