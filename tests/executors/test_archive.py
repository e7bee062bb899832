"""What is refused as an environment's archive for a cluster, without the cluster; tests/yarn runs one that is not."""

import io
import sys
import tarfile
from pathlib import Path

import pytest

from executors.spark_yarn import archive
from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import ExecutionFailed
from lineage.settings import Settings
from tests.executors.containers.conftest import Said

LEANING = f'#!/bin/sh\nexec {sys.executable} "$@"\n'


def packed(path: Path, script: str, *, link: str | None = None) -> Path:
    """An archive whose interpreter is *script*; with a file that is a *link* to elsewhere, where asked for."""
    with tarfile.open(path, "w:gz") as target:
        member = tarfile.TarInfo("bin/python")
        member.size, member.mode = len(script.encode()), 0o755
        target.addfile(member, io.BytesIO(script.encode()))
        if link:
            member = tarfile.TarInfo("lib/outside")
            member.type, member.linkname = tarfile.SYMTYPE, link
            target.addfile(member)
    return path


def test_an_archive_that_leans_on_this_machine_is_refused(tmp_path: Path) -> None:
    """An interpreter, a library or a link that lies outside of what was unpacked is named."""
    with pytest.raises(ExecutionFailed, match=f"leans on .*{Path(sys.executable).parents[1].name}") as caught:
        archive.prove(packed(tmp_path / "leaning.tar.gz", LEANING))
    with pytest.raises(ExecutionFailed, match=r"leans on .*lib/outside"):
        archive.prove(packed(tmp_path / "linked.tar.gz", LEANING, link="/usr/lib"))

    assert "ENVIRONMENT" == caught.value.reason


def test_an_archive_that_does_not_run_is_refused(tmp_path: Path) -> None:
    """One that was cut short, whose interpreter fails or says nothing is no environment."""
    whole = packed(tmp_path / "whole.tar.gz", LEANING).read_bytes()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    for path in (
        tmp_path / "cut.tar.gz",
        packed(tmp_path / "failing.tar.gz", "#!/bin/sh\necho no such library >&2\nexit 1\n"),
        packed(tmp_path / "silent.tar.gz", "#!/bin/sh\n"),
    ):
        with pytest.raises(ExecutionFailed, match=r"cannot be packed|says nothing") as caught:
            archive.prove(path)
        assert "ENVIRONMENT" == caught.value.reason


@pytest.mark.anyio
async def test_environments_that_cannot_travel(tmp_path: Path) -> None:
    """Another language, and packages of conda whose files hold the place where they lie, are refused in words."""
    settings = Settings(home=tmp_path)
    other = Artifact(kind=ArtifactKind.ENVIRONMENT, name="r", digest="0" * 64, body={"language": "r"})

    with pytest.raises(ExecutionFailed, match="another language"):
        await archive.build(other, "", settings=settings, log=Said())
    conda = f"https://example.org/linux-64/r-base-4.4.1-0.conda#{'0' * 64}\n"
    ours = Artifact(kind=ArtifactKind.ENVIRONMENT, name="c", digest="0" * 64, body={"language": "python"})
    with pytest.raises(ExecutionFailed, match="bound to its place"):
        await archive.build(ours, conda, settings=settings, log=Said())
