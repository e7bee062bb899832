"""Sockets in folders that others may write to: what lies there is connected to, and nothing that a link names."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lineage import sockets


@contextmanager
def listening(path: Path) -> Iterator[None]:
    """A socket at *path*, however long that is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sockets.short(str(path)))
        server.listen()
        yield


def can_reach(folder: Path, name: str = "out/serve.sock") -> bool:
    """Whether the socket *name* below *folder* takes a connection."""
    place = sockets.held(str(folder), name)
    try:
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(sockets.reached(place))
            return True
    finally:
        os.close(place)


def test_a_socket_is_reached_however_long_its_path_is(tmp_path: Path) -> None:
    """A path beyond what the kernel takes for a socket is no hindrance."""
    folder = tmp_path / ("x" * 120)
    with listening(folder / "out" / "serve.sock"):
        assert can_reach(folder)


@pytest.mark.parametrize("where", ["out", "out/serve.sock"])
def test_a_link_leads_nowhere(tmp_path: Path, where: str) -> None:
    """Neither a link in the place of the socket nor one in that of its folder is followed."""
    other, mine = tmp_path / "other", tmp_path / "mine"
    with listening(other / "out" / "serve.sock"):
        (mine / where).parent.mkdir(parents=True)
        (mine / where).symlink_to(other / where)

        assert can_reach(other)
        with pytest.raises(OSError, match=r"Too many levels|Not a directory|is no socket"):
            can_reach(mine)


def test_what_is_no_socket_is_refused(tmp_path: Path) -> None:
    """A file and nothing at all are not connected to."""
    (tmp_path / "out").mkdir()
    with pytest.raises(FileNotFoundError):
        can_reach(tmp_path)
    (tmp_path / "out" / "serve.sock").write_text("")
    with pytest.raises(ConnectionRefusedError, match="no socket"):
        can_reach(tmp_path)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """Whatever comes of it, nothing stays open."""
    (tmp_path / "out").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            can_reach(tmp_path)

    assert before == len(os.listdir("/proc/self/fd"))
