"""Where artifacts may be kept: an S3 server over HTTP, places that are not there, a disk that is full."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from lineage.errors import InvalidInput, NotFound, Unavailable
from lineage.files import Files
from lineage.filesystems import CHUNK

pytestmark = pytest.mark.anyio


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of four megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def whatever(folder: Path) -> list[str]:
    """The names of all files below *folder*."""
    return [path.name for path in folder.rglob("*") if path.is_file()]


async def test_a_full_disk_keeps_nothing_by_halves(small_disk: Path) -> None:
    """What does not fit is Unavailable with what to do; no draft stays, and what was there is as it was."""
    files = Files(str(small_disk / "artifacts"))
    kept = await files.put_bytes(b"x" * CHUNK)

    with pytest.raises(Unavailable, match="No space left on device; free some space"):
        await files.put_bytes(os.urandom(8 * CHUNK))

    await files.verify(kept.sha256)
    assert [kept.sha256] == whatever(small_disk)


async def test_a_full_disk_gets_no_half_copies(small_disk: Path, tmp_path: Path) -> None:
    """Fetching to a full disk is Unavailable and leaves nothing at the target."""
    files = Files(str(tmp_path / "artifacts"))
    stored = await files.put_bytes(os.urandom(8 * CHUNK))

    with pytest.raises(Unavailable, match="free some space"):
        await files.fetch(stored.sha256, small_disk / "target")

    assert [] == whatever(small_disk)


async def test_an_object_that_another_process_wrote_is_seen(bucket: str) -> None:
    """Nothing that this process has looked up before hides what another one has put meanwhile."""
    files = Files(bucket)
    assert not await files.exists("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")

    script = "import anyio, sys; from lineage.files import Files; anyio.run(Files(sys.argv[1]).put_bytes, b'x')"
    subprocess.run([sys.executable, "-c", script, bucket], check=True)  # noqa: ASYNC221 (nothing else goes on)

    assert b"x" == await files.read("2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")


async def test_an_object_of_many_parts(bucket: str) -> None:
    """What is larger than one part of an upload comes back whole."""
    files, data = Files(bucket), os.urandom(1024) * (60 * 1024)

    stored = await files.put_bytes(data)

    await files.verify(stored.sha256)
    assert data == await files.read(stored.sha256)


async def test_a_bucket_that_is_not_there(bucket: str) -> None:
    """A mistyped bucket is an error that names the setting, and no bucket is made."""
    import boto3

    files = Files("s3://no-such-bucket/lineage")
    with pytest.raises(Unavailable, match="LINEAGE_ARTIFACTS"):
        await files.put_bytes(b"x")
    with pytest.raises(NotFound):
        await files.read("0" * 64)

    assert "no-such-bucket" not in [each["Name"] for each in boto3.client("s3").list_buckets()["Buckets"]]


async def test_a_server_that_does_not_answer(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the server, everything is Unavailable rather than missing."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    files = Files(bucket)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    files._place.fs.retries = 1

    with pytest.raises(Unavailable, match="LINEAGE_ARTIFACTS"):
        await files.put_bytes(b"x")
    with pytest.raises(Unavailable, match="cannot be read"):
        await files.read("0" * 64)


@pytest.mark.parametrize(("url", "said"), [("nowhere://x", "nowhere"), ("s3x://bucket", "s3x")])
def test_an_address_that_nothing_knows(url: str, said: str) -> None:
    """A protocol that does not exist is said at once."""
    with pytest.raises(InvalidInput, match=said):
        Files(url)


def test_a_package_that_is_missing_is_named() -> None:
    """Without its package, S3 says which extra brings it."""
    script = """
import sys
sys.modules["s3fs"] = None
from lineage.errors import InvalidInput
from lineage.files import Files
try:
    Files("s3://bucket/x")
except InvalidInput as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert "pip install 'lineage-graph[s3]'" in said
