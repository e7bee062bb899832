"""Source trees as archives: equal trees give equal bytes, and nothing in one can land outside its folder."""

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from lineage.errors import InvalidInput


def plain(path: str) -> str:
    """*path* itself, if it stays below wherever it is put; raise InvalidInput otherwise."""
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts or "\\" in path or "\0" in path or str(pure) != path:
        raise InvalidInput(f"{path!r} is not a plain relative path", field="files")
    return path


def pack(tree: Sequence[tuple[str, bytes]]) -> bytes:
    """A tar archive of (path, content) pairs, in their order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in tree:
            member = tarfile.TarInfo(path)  # its times and owners are all zero, so equal trees give equal bytes
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def read(data: bytes) -> dict[str, bytes]:
    """The files of an archive by their paths; raise InvalidInput when it is not one that `pack` could have made.

    Links, devices and paths that lead out are refused here and not by `tarfile`'s filters, which the first releases
    of Python 3.11 do not have.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            members = archive.getmembers()
            if odd := [member.name for member in members if not member.isreg() or member.issparse()]:
                raise InvalidInput(f"the archive holds {odd[0]!r}, which is no plain file", field="archive")
            if len({member.name for member in members}) < len(members):
                raise InvalidInput("the archive holds a path twice", field="archive")
            return {plain(member.name): _content(archive, member) for member in members}
    except tarfile.TarError as error:
        raise InvalidInput(f"the archive cannot be read: {error}", field="archive") from error


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None  # it is a regular file
    return stream.read()


def unpack(data: bytes, target: Path) -> None:
    """Write the files of an archive below *target*, all of them or none; raise InvalidInput as `read` does."""
    for name, content in read(data).items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
