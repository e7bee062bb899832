"""The artifact store on the file systems that are always there."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import fsspec
import pytest

from lineage.errors import DigestMismatch, LimitExceeded, NotFound, Unavailable
from lineage.files import Files, Stored
from lineage.filesystems import CHUNK

pytestmark = pytest.mark.anyio

DATA = bytes(range(256)) * 10_000  # a little more than two chunks
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["path", "file://", "memory://", "s3://"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty place for artifacts, by a plain path and by addresses."""
    match request.param:
        case "s3://":
            return str(request.getfixturevalue("bucket"))
        case "path":
            return str(tmp_path / "artifacts")
        case "file://":
            return f"file://{tmp_path}/artifacts"
    return f"memory://artifacts-{uuid.uuid4().hex}"


@pytest.fixture
def files(url: str) -> Files:
    """An artifact store over the place."""
    return Files(url)


def everything(url: str) -> list[str]:
    """All files below the place."""
    fs, root = fsspec.core.url_to_fs(url)
    return sorted(path.rpartition("/")[2] for path in fs.find(root))


def names(folder: Path) -> list[str]:
    """What begins with the target's name in *folder*."""
    return [path.name for path in folder.glob("target*")]


def mode(path: str) -> int:
    """Who may read and write a local file."""
    return Path(path).stat().st_mode & 0o777


async def write_all(files: Files, *pieces: bytes, limit: int | None = None, fails: bool = False) -> Stored:
    """Keep *pieces* as one stream, or fail behind them."""
    async with files.open_put(limit=limit) as writer:
        for piece in pieces:
            await writer.write(piece)
        if fails:
            raise RuntimeError
    return writer.stored


def overwrite(url: str, files: Files, sha256: str, data: bytes) -> None:
    """Change what is kept under a digest, as a disk or a hand would."""
    fs, _ = fsspec.core.url_to_fs(url)
    fs.rm_file(files.address(sha256))
    with fs.open(files.address(sha256), "wb") as stream:
        stream.write(data)


async def test_what_is_put_is_read(files: Files, tmp_path: Path, url: str) -> None:
    """A file, bytes and a stream of the same content are kept once, and come back."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(DATA)

    assert Stored(sha256=SHA, bytes=len(DATA)) == await files.put(source)
    assert Stored(sha256=SHA, bytes=len(DATA)) == await files.put_bytes(DATA)
    pieces = [DATA[start : start + 100_000] for start in range(0, len(DATA), 100_000)]
    assert Stored(sha256=SHA, bytes=len(DATA)) == await write_all(files, *pieces)

    await files.fetch(SHA, target)
    assert target.read_bytes() == DATA
    assert await files.read(SHA) == DATA
    await files.verify(SHA)
    assert [SHA] == everything(url)


async def test_the_empty_file_is_a_file(files: Files) -> None:
    """No bytes at all are kept as any other content."""
    stored = await files.put_bytes(b"")

    assert Stored(sha256=hashlib.sha256().hexdigest(), bytes=0) == stored
    assert await files.read(stored.sha256) == b""


@pytest.mark.parametrize("damaged", [DATA[:-1], b"", DATA[:-1] + b"x"])
async def test_changed_bytes_are_never_handed_out(files: Files, url: str, tmp_path: Path, damaged: bytes) -> None:
    """Whoever reads content that was changed gets DigestMismatch, and nothing stands at the target."""
    await files.put_bytes(DATA)
    overwrite(url, files, SHA, damaged)

    with pytest.raises(DigestMismatch, match="changed or damaged"):
        await files.fetch(SHA, tmp_path / "target")
    with pytest.raises(DigestMismatch):
        await files.read(SHA)
    with pytest.raises(DigestMismatch):
        await files.verify(SHA)
    assert [] == names(tmp_path)


async def test_putting_it_again_heals_what_was_damaged(files: Files, url: str) -> None:
    """Content that was changed under its digest is replaced by the next put of the same bytes."""
    await files.put_bytes(DATA)
    overwrite(url, files, SHA, DATA[:-1] + b"x")

    await files.put_bytes(DATA)

    await files.verify(SHA)
    assert [SHA] == everything(url)


async def test_a_failed_fetch_leaves_the_target_as_it_was(files: Files, url: str, tmp_path: Path) -> None:
    """A file that was at the target before is still there when the new bytes are wrong."""
    await files.put_bytes(DATA)
    overwrite(url, files, SHA, b"wrong")
    (tmp_path / "target").write_text("before")

    with pytest.raises(DigestMismatch):
        await files.fetch(SHA, tmp_path / "target")
    assert (tmp_path / "target").read_text() == "before"


async def test_what_is_not_there_is_not_found(files: Files, tmp_path: Path) -> None:
    """Reading, fetching and verifying of an unknown digest is NotFound."""
    assert not await files.exists(SHA)
    with pytest.raises(NotFound):
        await files.read(SHA)
    with pytest.raises(NotFound):
        await files.fetch(SHA, tmp_path / "target")
    with pytest.raises(NotFound):
        await files.verify(SHA)
    assert [] == names(tmp_path)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", SHA[:-1], SHA.upper(), f"{SHA}/../x", "zz" * 32])
async def test_only_a_digest_names_content(files: Files, tmp_path: Path, name: str) -> None:
    """What is not a sha256 in hex never becomes a path."""
    await files.put_bytes(DATA)

    assert not await files.exists(name)
    with pytest.raises(NotFound):
        await files.read(name)
    with pytest.raises(NotFound):
        await files.fetch(name, tmp_path / "target")


async def test_a_stream_has_its_limit(files: Files, url: str) -> None:
    """A stream of exactly the limit is kept; one byte more is LimitExceeded and leaves nothing."""
    await write_all(files, b"0123456789", limit=10)
    kept = everything(url)

    with pytest.raises(LimitExceeded, match="more than 10 bytes"):
        await write_all(files, b"abcdefghij", b"k", limit=10)
    assert kept == everything(url)


async def test_a_read_has_its_limit(files: Files) -> None:
    """What is larger than the reader allows is not taken into memory."""
    stored = await files.put_bytes(b"0123456789")

    assert await files.read(stored.sha256, limit=10) == b"0123456789"
    with pytest.raises(LimitExceeded):
        await files.read(stored.sha256, limit=9)


async def test_a_stream_that_breaks_leaves_nothing(files: Files, url: str) -> None:
    """When the writer of a stream fails in its midst, neither content nor draft stays."""
    with pytest.raises(RuntimeError):
        await write_all(files, DATA, fails=True)
    assert [] == everything(url)


async def test_a_cancelled_stream_leaves_nothing(files: Files, url: str) -> None:
    """When the task that writes is cancelled, no draft stays."""
    with anyio.CancelScope() as scope:
        async with files.open_put() as writer:
            await writer.write(DATA)
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert [] == everything(url)


async def test_writers_at_once_keep_it_once(files: Files, url: str) -> None:
    """Many that put the same content at once all succeed, and it is there once and whole."""
    found: list[Any] = []

    async def put() -> None:
        found.append(await files.put_bytes(DATA))

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(put)

    assert [Stored(sha256=SHA, bytes=len(DATA))] * 8 == found
    await files.verify(SHA)
    assert [SHA] == everything(url)


async def test_kept_files_cannot_be_written_by_accident(tmp_path: Path) -> None:
    """On a local disk what is kept is read-only."""
    files = Files(str(tmp_path))
    stored = await files.put_bytes(b"x" * (CHUNK + 1))

    assert mode(files.address(stored.sha256)) == 0o444


async def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """Where a file stands in the way of the folder, the error says what to do."""
    (tmp_path / "artifacts").write_text("in the way")

    with pytest.raises(Unavailable, match="LINEAGE_ARTIFACTS"):
        await Files(str(tmp_path / "artifacts")).put_bytes(b"x")


async def test_a_missing_source_is_its_own_error(files: Files, tmp_path: Path, url: str) -> None:
    """Putting a file that is not there keeps nothing."""
    with pytest.raises(FileNotFoundError):
        await files.put(tmp_path / "none")
    assert [] == everything(url)
