"""What pip is configured to do, as far as it says where packages come from."""

import os
from pathlib import Path

import anyio
import pytest

from executors import environments, pip
from executors.uv import variables
from lineage.errors import ExecutionFailed, InvalidInput
from lineage.settings import Settings


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home."""
    return tmp_path / "home"


def configure(path: Path, text: str) -> Path:
    """A file of configuration."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_rank_as_for_pip(home: Path, tmp_path: Path) -> None:
    """The machine's file is overruled by the user's, that by the environment's, that by the variables."""
    site = configure(tmp_path / "etc/pip.conf", "[global]\nindex-url = 1\ntrusted-host = 1\ncert = 1\nproxy = 1\n")
    configure(home / ".config/pip/pip.conf", "[global]\ntrusted_host = 2\ncert = 2\nproxy = 2\n")
    configure(tmp_path / "venv/pip.conf", "[global]\ncert = 3\n[install]\nproxy = 3\n")
    environ = {"HOME": str(home), "XDG_CONFIG_DIRS": str(tmp_path / "none"), "PIP_PROXY": "4"}

    found = pip.configured(environ, prefix=tmp_path / "venv", site=site)

    assert {"PIP_INDEX_URL": "1", "PIP_TRUSTED_HOST": "2", "PIP_CERT": "3", "PIP_PROXY": "4"} == found


def test_a_named_file_takes_the_place_of_the_users(home: Path, tmp_path: Path) -> None:
    """PIP_CONFIG_FILE is read instead of the user's own; the null device means no file at all."""
    configure(home / ".config/pip/pip.conf", "[global]\nindex-url = of-the-user\n")
    named = configure(tmp_path / "named.conf", "[global]\nextra-index-url =\n    a\n    b\n")
    environ = {"HOME": str(home), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    places = {"prefix": tmp_path, "site": tmp_path / "none"}

    assert {"PIP_EXTRA_INDEX_URL": "a b"} == {
        name: text
        for name, text in pip.configured({**environ, "PIP_CONFIG_FILE": str(named)}, **places).items()
        if name != "PIP_CONFIG_FILE"
    }
    assert "PIP_INDEX_URL" not in pip.configured({**environ, "PIP_CONFIG_FILE": os.devnull}, **places)
    assert {"PIP_INDEX_URL": "of-the-user"} == pip.configured(environ, **places)


def test_uv_is_told(home: Path, tmp_path: Path) -> None:
    """uv gets pip's index, extra index, certificates and hosts under its own names; what it is told itself wins."""
    text = "[global]\nindex-url = http://i\nextra-index-url = http://e\ncert = /c.pem\ntrusted-host = h:8\n"
    named = configure(tmp_path / "pip.conf", text)
    environ = {"HOME": str(home), "PIP_CONFIG_FILE": str(named), "UV_INDEX": "http://own"}

    found = variables(environ, Settings(home=tmp_path))

    names = ("UV_DEFAULT_INDEX", "UV_INDEX", "SSL_CERT_FILE", "UV_INSECURE_HOST")
    assert ("http://i", "http://own", "/c.pem", "h:8") == tuple(found[name] for name in names)
    configure(home / ".config/uv/uv.toml", "")
    assert "UV_DEFAULT_INDEX" not in variables(environ, Settings(home=tmp_path))


def test_a_file_that_is_not_one_is_named_without_its_content(tmp_path: Path) -> None:
    """A broken file is named; its lines, which may have passwords, are not shown."""
    named = configure(tmp_path / "pip.conf", "index-url = https://ann:secret@host\n")

    with pytest.raises(InvalidInput, match=r"pip\.conf") as caught:
        pip.configured({"PIP_CONFIG_FILE": str(named)})
    assert "secret" not in str(caught.value)


def test_the_index_of_the_file_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolving asks the index that pip.conf names, and keeps its password to itself."""
    named = configure(tmp_path / "pip.conf", "[global]\nindex-url = http://ann:secret@127.0.0.1:9/simple\n")
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(named))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    said: list[str] = []

    async def resolve() -> None:
        async def log(text: str) -> None:
            said.append(text)

        settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
        await environments.resolve(["six"], version=None, settings=settings, log=log)

    with pytest.raises(ExecutionFailed, match=r"127\.0\.0\.1:9") as caught:
        anyio.run(resolve)

    assert "UNAVAILABLE" == caught.value.reason
    assert "secret" not in str(caught.value) + "".join(said)
