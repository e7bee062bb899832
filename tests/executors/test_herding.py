"""The shepherd's log, and what it makes of processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executors.herding import processes
from executors.herding.log import CappedLog, Source

SECRET = "abcabcabd-secret"


def written(path: Path, limit: int, pieces: list[bytes], *, mark: str = "") -> bytes:
    """The log of a source that prints *pieces*."""
    path.unlink(missing_ok=True)
    log = CappedLog(path, limit)
    source = Source(log, mark=mark, secrets=(SECRET,))
    for piece in pieces:
        source.write(piece)
    source.close()
    log.close()
    return path.read_bytes()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=40), max_size=40), st.integers(2, 400))
def test_head_and_tail_are_kept(tmp_path: Path, pieces: list[bytes], limit: int) -> None:
    """A short log is whole; of a long one there are its first and last bytes, and a count of the others."""
    printed = b"".join(pieces)
    printed += b"" if printed.endswith(b"\n") or not printed else b"\n"

    log = written(tmp_path / "log", limit, pieces)

    half = limit // 2
    if len(printed) <= 2 * half:
        assert printed == log
    else:
        note = f"\n… {len(printed) - 2 * half} bytes of the log are left out here …\n".encode()
        assert printed[:half] + note + printed[-half:] == log


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(0, 3))
def test_secrets_are_masked(tmp_path: Path, cuts: list[int], repeats: int) -> None:
    """A secret never gets into the log, however it is cut into pieces."""
    text = f"abcabc {SECRET * (repeats + 1)} abcab".encode()
    pieces, at = [], 0
    for cut in [*cuts, len(text)]:
        pieces.append(text[at : at + cut])
        at += cut

    assert f"abcabc {'***' * (repeats + 1)} abcab\n".encode() == written(tmp_path / "log", 10_000, pieces)


def test_lines_are_marked(tmp_path: Path) -> None:
    """Where there are many slots every line names its own."""
    assert b"[1] a\n[1] b\n[1] \n[1] c\n" == written(tmp_path / "log", 1000, [b"a\nb", b"\n\n", b"c"], mark="[1] ")


@pytest.mark.skipif(not processes.IS_LINUX, reason="only Linux shows its processes under /proc")
def test_descendants() -> None:
    """Every living process below one is found, with what it uses, and can be ended to the last."""
    body = "import subprocess, sys; subprocess.Popen(['sleep', '600']); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", body], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = processes.descendants(os.getpid())
        inner = [each.pid for each in processes.descendants(child.pid)]
        memory = next(each for each in found if each.pid == child.pid).memory

        assert {child.pid, *inner} <= {each.pid for each in found}
        assert 1 == len(inner)
        assert memory > 1_000_000
        for pid in [child.pid, *inner]:
            processes.send(pid, signal.SIGKILL)
    processes.send(child.pid, signal.SIGKILL)  # one that is gone is left in peace
