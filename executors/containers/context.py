"""Build contexts: what is sent to the daemon, as a tar archive that is the same for the same content."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from executors.containers.layers import Layer

TIME = 315_619_200  # 2 January 1980: the earliest that archives of all kinds can hold


def write(target: Path, layers: Sequence[Layer], texts: Mapping[str, bytes]) -> None:
    """Write a context to *target*: the *layers*, each a folder of files, and files of *texts*."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in sorted(texts.items()):
            member = _member(name, len(data))
            archive.addfile(member, io.BytesIO(data))
        for layer in layers:
            for path in sorted({path for package in layer.packages for path in package.files}):
                _add(archive, layer.root / path, f"{layer.name}/{path}")


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    status = path.lstat()
    if path.is_symlink():
        member = _member(name, 0)
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        archive.addfile(member)
        return
    member = _member(name, status.st_size)
    member.mode = 0o755 if status.st_mode & 0o100 else 0o644
    with path.open("rb") as stream:
        archive.addfile(member, stream)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mtime = size, TIME
    return member
