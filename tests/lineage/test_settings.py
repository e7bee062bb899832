"""Settings from the environment, and the address that a server leaves."""

import json
import os
import socket
from dataclasses import fields
from pathlib import Path

import pytest

from lineage import server, sockets
from lineage.errors import InvalidInput, Unavailable
from lineage.settings import Settings


def test_everything_has_a_default_and_a_word() -> None:
    """Without any variable there are settings, and each says what it is."""
    settings = Settings.from_environ({})

    assert (8000, True, str(settings.home / "artifacts")) == (
        settings.port,
        settings.is_loopback,
        settings.artifacts_url,
    )
    assert all(each.metadata["doc"] for each in fields(Settings))
    assert {"token", "neo4j_password", "index_url", "proxy", "webhook_secret"} == {
        each.name for each in fields(Settings) if each.metadata["secret"]
    }


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("port", "9000", 9000),
        ("lease_seconds", "2.5", 2.5),
        ("host", "0.0.0.0", "0.0.0.0"),
        ("allow_pickle", "Yes", True),
        ("allow_pickle", "0", False),
        ("home", "/data/x", Path("/data/x")),
        ("home", "~/x", Path.home() / "x"),
        ("port", "", 8000),
    ],
)
def test_a_variable_sets_its_field(name: str, text: str, expected: object) -> None:
    """Each variable is read as the type of its field; an empty one sets nothing."""
    assert expected == getattr(Settings.from_environ({f"LINEAGE_{name.upper()}": text}), name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("port", "http"),
        ("port", "-1"),
        ("port", "65536"),
        ("bolt_port", "-7687"),
        ("slots", "-1"),
        ("lease_seconds", "soon"),
        ("lease_seconds", "0"),
        ("lease_seconds", "nan"),
        ("run_timeout", "inf"),
        ("run_timeout", "0"),
        ("trial_timeout", "-5"),
        ("cancel_grace", "-1"),
        ("query_timeout", "1e400"),
        ("queue_items", "0"),
        ("queue_bytes", "64m"),
        ("allow_pickle", "maybe"),
        ("heap", "lots"),
        ("heap", "0m"),
        ("neo4j_uri", "localhost:7687"),
        ("url", "localhost:8000"),
        ("maven_url", "ftp://mirror"),
    ],
)
def test_a_bad_value_names_its_variable(name: str, text: str) -> None:
    """What cannot be read says which variable it is in."""
    with pytest.raises(InvalidInput, match=f"LINEAGE_{name.upper()}") as caught:
        Settings.from_environ({f"LINEAGE_{name.upper()}": text})
    assert name == caught.value.field


def test_every_bad_value_is_named_at_once() -> None:
    """Who has set several wrongly hears of all; the rest can still be read."""
    environ = {"LINEAGE_PORT": "x", "LINEAGE_SLOTS": "-1", "LINEAGE_USER": "ann"}

    with pytest.raises(InvalidInput, match=r"LINEAGE_PORT.*LINEAGE_SLOTS"):
        Settings.from_environ(environ)
    settings, faults = Settings.examine(environ)

    assert (8000, 0, "ann", 2) == (settings.port, settings.slots, settings.user, len(faults))


def test_an_option_is_held_to_the_same() -> None:
    """An override is as bad as a variable."""
    with pytest.raises(InvalidInput, match="65535"):
        Settings.from_environ({}, port=70_000)


def test_an_override_wins_unless_it_is_none() -> None:
    """Options of the command line come before the environment."""
    environ = {"LINEAGE_PORT": "9000", "LINEAGE_HOST": "::1"}

    settings = Settings.from_environ(environ, port=1234, host=None)

    assert (1234, "::1", True) == (settings.port, settings.host, settings.is_loopback)


def test_a_running_server_is_found(tmp_path: Path) -> None:
    """The address is there for its user alone while the process lives, and gone when it is forgotten."""
    settings = Settings(home=tmp_path / "home")
    assert server.running(settings) is None

    path = server.record(settings, "http://127.0.0.1:1")

    assert server.running(settings) == "http://127.0.0.1:1"
    assert path.stat().st_mode & 0o777 == 0o600
    server.forget(settings)
    assert not path.exists()
    server.forget(settings)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '"text"', "{}", json.dumps({"url": "x", "pid": 2**22 + 1, "started": 0.0})],
)
def test_a_damaged_address_is_no_address(tmp_path: Path, text: str) -> None:
    """What cannot be read, or names a process that is gone, is as if it were not there, and is not another's loss."""
    settings = Settings(home=tmp_path)
    (tmp_path / "api.json").write_text(text)

    assert server.running(settings) is None
    server.forget(settings)
    assert (tmp_path / "api.json").read_text() == text


def test_the_address_of_an_earlier_process_with_this_id_is_not_believed(tmp_path: Path) -> None:
    """An id of a process is used again; its start tells the two apart."""
    (tmp_path / "api.json").write_text(json.dumps({"url": "x", "pid": os.getpid(), "started": 12.5}))

    assert server.running(Settings(home=tmp_path)) is None


@pytest.mark.anyio
async def test_work_needs_an_address(tmp_path: Path) -> None:
    """Without a running API the error says how to get one; an address that was set is taken as it is."""
    with pytest.raises(Unavailable, match="lineage serve"):
        await server.protocol_url(Settings(home=tmp_path))
    assert await server.protocol_url(Settings(home=tmp_path, url="http://x")) == "http://x"


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    """A variable that ends in _FILE names the file of a secret, without the line's end; other settings have none."""
    path = tmp_path / "token"
    path.write_text("from a file\n")
    found = Settings.from_environ({"LINEAGE_TOKEN_FILE": str(path), "LINEAGE_HOST_FILE": str(path)})

    assert ("from a file", "127.0.0.1") == (found.token, found.host)
    assert "given" == Settings.from_environ({"LINEAGE_TOKEN": "given", "LINEAGE_TOKEN_FILE": str(path)}).token
    with pytest.raises(InvalidInput, match=r"LINEAGE_TOKEN_FILE=.*/nowhere cannot be read: No such file"):
        Settings.from_environ({"LINEAGE_TOKEN_FILE": str(tmp_path / "nowhere")})


def test_an_api_in_another_container_is_known_by_its_socket(tmp_path: Path) -> None:
    """Where numbers of processes mean nothing, an API counts as running while somebody listens on its socket."""
    settings = Settings(home=tmp_path)
    path = tmp_path / "api.sock"
    file = server.record(settings, "http://127.0.0.1:1", socket=path)
    entry = json.loads(file.read_text()) | {"namespace": "pid:[1]", "pid": 1}
    file.write_text(json.dumps(entry))

    assert server.running(settings) is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(sockets.short(str(path)))
        listening.listen()
        assert "http://127.0.0.1:1" == server.running(settings)
        server.forget(settings)
        assert file.exists()


def test_secrets_are_not_shown() -> None:
    """What a traceback shows of settings has no secret in it."""
    settings = Settings(token="hidden-1", neo4j_password="hidden-2", webhook_secret="hidden-3", home=Path("seen"))

    assert "hidden" not in repr(settings)
    assert "seen" in repr(settings)
