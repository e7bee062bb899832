"""Notebooks without a daemon: what is refused, how connections are carried, what goes beside locked packages."""

import asyncio
import os
import socket
from functools import partial
from pathlib import Path

import pytest

from executors import environments
from executors.inside import relay
from executors.notebooks import container, layer, session
from executors.notebooks.container import Notebook, Room
from lineage.errors import Conflict, ExecutionFailed, InvalidInput
from lineage.settings import Settings
from tests.executors.containers.conftest import Said

pytestmark = pytest.mark.anyio


def a_notebook(folder: Path, *, network: bool = False) -> Notebook:
    """A notebook of *folder*."""
    return Notebook(environment="environment_1", folder=folder, network=network)


@pytest.mark.parametrize(
    "path", ["/", "/usr/lib", "/etc", "/opt/notebook", "/home", "/home/lineage", "/tmp", "/nowhere"]
)
def test_folders_that_would_hide_the_image(path: str) -> None:
    """A folder has its own path inside, so one that lies where the image has its files is refused."""
    with pytest.raises(InvalidInput) as caught:
        container.folder_of(Path(path))

    assert "folder" == caught.value.field


def test_who_a_notebook_runs_as(tmp_path: Path) -> None:
    """Its user can write to the folder and is never root."""
    notebook = a_notebook(tmp_path)
    if os.getuid():
        assert (os.getuid(), os.getgid()) == notebook.user
        return
    with pytest.raises(InvalidInput, match="belongs to root"):
        _ = notebook.user
    os.chown(tmp_path, 1234, 1235)

    assert (1234, 1235) == notebook.user


def test_an_api_elsewhere_needs_the_network(tmp_path: Path) -> None:
    """Without it the notebook could not speak to the API; one on loopback comes through the socket."""
    elsewhere, here = (Settings(url=url) for url in ("https://lineage.example.org", "http://127.0.0.1:8000/below"))

    with pytest.raises(InvalidInput, match="--network"):
        container.check_reach(a_notebook(tmp_path), elsewhere)
    container.check_reach(a_notebook(tmp_path), here)
    container.check_reach(a_notebook(tmp_path, network=True), elsewhere)

    assert "https://lineage.example.org" == container.environ(elsewhere)["LINEAGE_URL"]
    assert "http://127.0.0.1:8000/below" == container.environ(here)["LINEAGE_URL"]


def test_secrets_stand_in_files_of_the_user_alone(tmp_path: Path) -> None:
    """The API's token and JupyterLab's are in no argument, variable or label, and JupyterLab's stays the same."""
    os.chown(tmp_path, *((1234, 1234) if os.getuid() == 0 else (-1, -1)))
    settings = Settings(home=tmp_path / "home", token="t0p-secret")
    notebook = a_notebook(tmp_path)
    room = Room(settings, notebook.id)
    key = room.lay_out(notebook.user, settings.token)
    again = room.lay_out(notebook.user, settings.token)

    told = str([container.arguments(notebook, settings), container.environ(settings), container.host(notebook, room)])
    assert key == again
    assert "t0p-secret" == (room.secrets / "token").read_text()
    assert [] == [each for each in (key, "t0p-secret") if each in told]
    assert {0o400} == {path.stat().st_mode & 0o777 for path in room.secrets.iterdir()}
    assert {notebook.user[0]} == {path.stat().st_uid for path in room.secrets.iterdir()}
    room.lay_out(notebook.user, "")
    assert ["jupyter"] == [path.name for path in room.secrets.iterdir()]


def test_one_process_has_a_notebook(tmp_path: Path) -> None:
    """A second one hears that there is one already."""
    room = Room(Settings(home=tmp_path), "abc")
    with session.held(room), pytest.raises(Conflict, match="has a notebook"), session.held(room):
        pass
    with session.held(room):
        pass


def test_a_port_that_is_taken() -> None:
    """The error says how to have another."""
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InvalidInput, match="--port") as caught:
        session.listening(taken.getsockname()[1])

    assert "port" == caught.value.field


async def test_connections_are_carried_both_ways(tmp_path: Path) -> None:
    """What one end says arrives at the other, up to the end of each direction; nobody there closes the connection."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        writer.close()

    path = str(tmp_path / ("long-" * 20) / "echo.sock")
    Path(path).parent.mkdir()
    unix = session._unix(Path(path))
    async with await asyncio.start_unix_server(echo, sock=unix):
        connect = partial(relay.open_unix, path)
        async with await asyncio.start_server(partial(relay.join, connect=connect), "127.0.0.1", 0) as server:
            place = server.sockets[0].getsockname()
            there = await _said(place, b"x" * 200_000)
            os.rename(path, f"{path}.gone")
            gone = await _said(place, b"")

    assert (b"X" * 200_000, b"") == (there, gone)


async def _said(place: tuple[str, int], words: bytes) -> bytes:
    """What is answered to *words*."""
    reader, writer = await asyncio.open_connection(*place)
    writer.write(words)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_link_in_place_of_a_socket_is_not_followed(tmp_path: Path) -> None:
    """What runs in a notebook owns the folder of its socket, and must not lead us to another one of this machine."""
    real, link = tmp_path / "real.sock", tmp_path / "link.sock"
    link.symlink_to(real)

    async def leave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_unix_server(leave, sock=session._unix(real)):
        reader, writer = await relay.open_unix(str(real))
        await reader.read()
        writer.close()
        await writer.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await relay.open_unix(str(link))


async def test_what_is_locked_stays(tmp_path: Path) -> None:
    """Only what is missing is added; packages that leave no room are named in the resolver's words."""
    settings, log = Settings(home=tmp_path / "home"), Said()
    text = await environments.resolve_beside(
        ["httpx"], [("idna", "3.10"), ("certifi", "2024.8.30")], version="3.11.2", settings=settings, log=log
    )
    given = [("traitlets", "4.3.3"), ("numpy", "2.4.6")]
    inside = layer.Interior(version="3.11.2", target="x86_64-manylinux_2_36", packages=given)

    assert {"httpx", "httpcore", "h11", "anyio"} <= {name for name, _ in environments.LOCKED.findall(text)}
    assert not {"idna", "certifi"} & {name for name, _ in environments.LOCKED.findall(text)}
    with pytest.raises(ExecutionFailed, match=r"(?s)none of which is replaced: .*traitlets") as caught:
        await layer._locks(inside, settings=settings, log=log)
    assert "RESOLUTION" == caught.value.reason
