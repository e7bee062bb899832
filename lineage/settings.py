"""Settings: `LINEAGE_*` environment variables, read once, passed down."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import platformdirs

from lineage.errors import InvalidInput


def _default_home() -> Path:
    return Path(platformdirs.user_data_dir("lineage"))


def _setting(default: Any, doc: str, *, secret: bool = False) -> Any:
    metadata = {"doc": doc, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set, each by `LINEAGE_` and its name in capitals."""

    home: Path = _setting(_default_home, "Data directory: the embedded graph, artifacts, environments, logs")
    host: str = _setting("127.0.0.1", "Address that the API listens on; anything but loopback needs a token")
    port: int = _setting(8000, "Port of the API")
    token: str = _setting("", "Bearer token that clients of the API must send", secret=True)
    url: str = _setting("", "Address of the API for clients and workers; by default that of the running server in home")
    allowed_hosts: str = _setting("", "Further host names, comma separated, that the API answers to")
    neo4j_uri: str = _setting("", "A Neo4j server you have; by default the embedded one is started")
    neo4j_user: str = _setting("neo4j", "User of the Neo4j server")
    neo4j_password: str = _setting("", "Password of the Neo4j server", secret=True)
    neo4j_database: str = _setting("neo4j", "Database on the Neo4j server")
    bolt_port: int = _setting(0, "Port of the embedded Neo4j; 0 picks a free one")
    heap: str = _setting("512m", "Largest heap of the embedded Neo4j")
    cache: Path = _setting(
        lambda: Path(platformdirs.user_cache_dir("lineage")), "Downloads: jars of the embedded Neo4j"
    )
    maven_url: str = _setting("", "Maven repository to fetch Neo4j's jars from; by default Maven Central")
    artifacts: str = _setting("", "Where artifacts are kept, an fsspec address; by default a folder in home")
    executor: str = _setting("process", "Executor of runs that name none")
    slots: int = _setting(0, "Runs that one worker does side by side; 0 means 2")
    lease_seconds: float = _setting(30.0, "Length of a lease; a worker that is silent for so long has lost its run")
    run_timeout: float = _setting(3600.0, "Seconds that a run may take unless it says otherwise")
    trial_timeout: float = _setting(
        1800.0, "Seconds that one trial may take, at most half of the run's, unless a search says"
    )
    start_timeout: float = _setting(600.0, "Seconds from lease to the first word of what was started")
    heartbeat_timeout: float = _setting(120.0, "Seconds of silence of started work after which it is ended")
    cancel_grace: float = _setting(10.0, "Seconds between asking work to stop and ending it")
    allow_pickle: bool = _setting(False, "Whether models may be saved as pickle when their code asks for it")
    index_url: str = _setting(
        "", "Package index for environments; by default that of the installer's own settings", secret=True
    )
    proxy: str = _setting("", "Proxy for everything that environments are fetched from", secret=True)
    ca_bundle: str = _setting("", "PEM file of certificate authorities to trust besides the system's own")
    base_image: str = _setting(
        "python:{version}-slim", "Image that the images of environments are built on; {version} is the language's"
    )
    build_network: str = _setting("", "Docker network for system packages in builds; by default Docker's own default")
    user: str = _setting(lambda: os.environ.get("USER") or "unknown", "Who is recorded as the maker of things")
    query_timeout: float = _setting(30.0, "Seconds that one query to the graph may take")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None, **override: Any) -> Self:
        """Read the settings from *environ* (the process's own by default); *override* wins where not None."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for each in fields(cls):
            text = environ.get(f"LINEAGE_{each.name.upper()}")
            if text not in (None, ""):
                values[each.name] = _parse(each.name, str(each.type), str(text))
        values |= {name: value for name, value in override.items() if value is not None}
        return cls(**values)

    @property
    def artifacts_url(self) -> str:
        """The artifact store's address, with its default applied."""
        return self.artifacts or str(self.home / "artifacts")

    @property
    def is_loopback(self) -> bool:
        """Whether the API is reachable from this machine alone."""
        return self.host in {"127.0.0.1", "localhost", "::1"}


def _parse(name: str, type_: str, text: str) -> Any:
    kind = type_.removeprefix("<class '").removesuffix("'>").rsplit(".", 1)[-1]
    try:
        if kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        if kind == "Path":
            return Path(text).expanduser()
        return int(text) if kind == "int" else float(text) if kind == "float" else text
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"LINEAGE_{name.upper()}={text!r} is not a {kind}", field=name) from error
