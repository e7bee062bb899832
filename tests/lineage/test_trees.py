"""Source trees: what is packed comes out again, and nothing lands where it should not."""

import io
import tarfile
from pathlib import Path

import pytest

from lineage import trees
from lineage.errors import InvalidInput

TREE = [("a/b.txt", b"1"), ("model.py", b"def build(params): ..."), ("empty", b"")]


def archive(member: tarfile.TarInfo, data: bytes = b"x") -> bytes:
    """A tar archive with one member, of a hand that is not ours."""
    buffer = io.BytesIO()
    member.size = len(data) if member.isreg() else 0
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def link(type_: bytes) -> tarfile.TarInfo:
    """A member that points at a file of the machine."""
    member = tarfile.TarInfo("model.py")
    member.type, member.linkname = type_, "/etc/passwd"
    return member


def test_what_is_packed_comes_out(tmp_path: Path) -> None:
    """Every file has its path and its bytes again."""
    trees.unpack(trees.pack(TREE), tmp_path / "code")
    found = {
        path.relative_to(tmp_path / "code").as_posix(): path.read_bytes()
        for path in (tmp_path / "code").rglob("*")
        if path.is_file()
    }
    assert dict(TREE) == found


def test_equal_trees_are_equal_bytes() -> None:
    """Nothing of the hour or of the machine is in an archive."""
    assert trees.pack(TREE) == trees.pack(list(TREE))


@pytest.mark.parametrize(
    "data",
    [
        archive(tarfile.TarInfo("../outside")),
        archive(tarfile.TarInfo("/tmp/outside")),
        archive(tarfile.TarInfo("a/../../outside")),
        archive(link(tarfile.SYMTYPE)),
        archive(link(tarfile.LNKTYPE)),
        archive(link(tarfile.FIFOTYPE)),
        trees.pack([("a", b"1"), ("a", b"2")]),
        b"this is no archive at all",
    ],
)
def test_what_leads_out_is_refused(tmp_path: Path, data: bytes) -> None:
    """Paths that leave the folder, paths that stand twice, links, devices and damaged archives write nothing."""
    with pytest.raises(InvalidInput):
        trees.unpack(data, tmp_path / "code")
    assert [] == list(tmp_path.rglob("*"))
