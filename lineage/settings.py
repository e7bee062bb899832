"""Settings: `LINEAGE_*` environment variables, read once, passed down; secrets from `LINEAGE_*_FILE` as well."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import platformdirs

from lineage.errors import InvalidInput

DAY = 86_400.0
HTTP = (r"(?i)https?://[^/\s]+.*", "an address that begins with http:// or https://")
BOLT = (r"(?i)(bolt|neo4j)(\+s|\+ssc)?://[^/\s]+.*", "an address that begins with neo4j:// or bolt:// (or …+s://)")
MEMORY = (r"[1-9]\d*[kmgKMG]", "a size of memory such as 512m or 2g")


def _default_home() -> Path:
    return Path(platformdirs.user_data_dir("lineage"))


def _setting(
    default: Any,
    doc: str,
    *,
    secret: bool = False,
    least: float | None = None,
    most: float | None = None,
    form: tuple[str, str] | None = None,
) -> Any:
    """A field with its meaning, and what its values must keep to: a range, or a pattern and words for it."""
    metadata = {"doc": doc, "secret": secret, "least": least, "most": most, "form": form}
    if callable(default):
        return field(default_factory=default, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be set, each by `LINEAGE_` and its name in capitals; a secret also by a file, `LINEAGE_…_FILE`."""

    home: Path = _setting(_default_home, "Data directory: the embedded graph, artifacts, environments, logs")
    host: str = _setting("127.0.0.1", "Address that the API listens on; anything but loopback needs a token")
    port: int = _setting(8000, "Port of the API", least=0, most=65535)
    token: str = _setting("", "Bearer token that clients of the API must send", secret=True)
    url: str = _setting(
        "", "Address of the API for clients and workers; by default that of the running server in home", form=HTTP
    )
    allowed_hosts: str = _setting("", "Further host names, comma separated, that the API answers to")
    neo4j_uri: str = _setting("", "A Neo4j server you have; by default the embedded one is started", form=BOLT)
    neo4j_user: str = _setting("neo4j", "User of the Neo4j server")
    neo4j_password: str = _setting("", "Password of the Neo4j server", secret=True)
    neo4j_database: str = _setting("neo4j", "Database on the Neo4j server")
    bolt_port: int = _setting(0, "Port of the embedded Neo4j; 0 picks a free one", least=0, most=65535)
    heap: str = _setting("512m", "Largest heap of the embedded Neo4j", form=MEMORY)
    cache: Path = _setting(
        lambda: Path(platformdirs.user_cache_dir("lineage")), "Downloads: jars of the embedded Neo4j"
    )
    maven_url: str = _setting("", "Maven repository to fetch Neo4j's jars from; by default Maven Central", form=HTTP)
    artifacts: str = _setting("", "Where artifacts are kept, an fsspec address; by default a folder in home")
    executor: str = _setting("process", "Executor of runs that name none")
    executors: str = _setting("", "Executors that a worker serves, comma separated; by default all that are installed")
    slots: int = _setting(0, "Runs that one worker does side by side; 0 means 2", least=0, most=1000)
    lease_seconds: float = _setting(
        30.0, "Length of a lease; a worker that is silent for so long has lost its run", least=1, most=DAY
    )
    run_timeout: float = _setting(3600.0, "Seconds that a run may take unless it says otherwise", least=1)
    trial_timeout: float = _setting(
        1800.0, "Seconds that one trial may take, at most half of the run's, unless a search says", least=0.1
    )
    start_timeout: float = _setting(600.0, "Seconds from lease to the first word of what was started", least=1)
    heartbeat_timeout: float = _setting(120.0, "Seconds of silence of started work after which it is ended", least=1)
    cancel_grace: float = _setting(10.0, "Seconds between asking work to stop and ending it", least=0, most=DAY)
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
    webhook_secret: str = _setting(
        "",
        "Secret that webhooks without one of their own are signed with, as `lineage webhook secret` makes it",
        secret=True,
    )
    webhook_private: bool = _setting(False, "Whether webhooks may go to private addresses, this machine included")
    hadoop_conf_dir: str = _setting(
        lambda: os.environ.get("HADOOP_CONF_DIR") or "",
        "Folder of the site files of a Hadoop cluster, for `spark_yarn`",
    )
    hdfs_web: str = _setting(
        "",
        "Web addresses of the NameNodes of hdfs:// addresses, comma separated; by default what the site files say",
        form=HTTP,
    )
    spark_home: str = _setting(lambda: os.environ.get("SPARK_HOME") or "", "Where Spark is, for `spark_yarn`")
    spark_properties: str = _setting("", "File of Spark's properties for every application, as of spark-submit")
    spark_staging: str = _setting(
        "", "Folder on a file system that worker and cluster reach; by default below the cluster's own home of the user"
    )
    spark_driver_memory: str = _setting("1g", "Heap of the driver of an application of Spark", form=MEMORY)
    spark_executor_memory: str = _setting("512m", "Heap of each executor of Spark", form=MEMORY)
    spark_work_memory: str = _setting(
        "1g", "Room in each executor's container for the work itself, where a run names no memory", form=MEMORY
    )
    spark_executors: int = _setting(
        2, "Executors of Spark that the rows of a batch are spread over", least=1, most=1000
    )
    spark_classes: str = _setting(
        "", "Classes beside Spark's own that models of Spark ML may hold, comma separated; `name.*` is a whole package"
    )
    spark_proxy_user: str = _setting("", "User that applications are submitted for, as of spark-submit --proxy-user")
    yarn_queue: str = _setting("", "Queue that applications are submitted to; by default YARN's own default")
    queue_items: int = _setting(
        100_000, "Nodes and edges that may wait to be recorded; a call beyond them is UNAVAILABLE", least=1
    )
    queue_bytes: int = _setting(
        64 * 2**20, "Bytes of nodes and edges that may wait to be recorded; a call beyond them is UNAVAILABLE", least=1
    )
    user: str = _setting(lambda: os.environ.get("USER") or "unknown", "Who is recorded as the maker of things")
    query_timeout: float = _setting(30.0, "Seconds that one query to the graph may take", least=0.1, most=DAY)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None, **override: Any) -> Self:
        """Read the settings from *environ* (the process's own by default); *override* wins where not None.

        Raise InvalidInput, which names every variable that cannot be used.
        """
        settings, faults = cls.examine(environ, **override)
        if faults:
            raise InvalidInput("; ".join(str(fault) for fault in faults), field=faults[0].field)
        return settings

    @classmethod
    def examine(cls, environ: Mapping[str, str] | None = None, **override: Any) -> tuple[Self, list[InvalidInput]]:
        """The same, with defaults for what cannot be used, and what is wrong with it."""
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        faults = []
        for each in fields(cls):
            given = override.get(each.name)
            try:
                text = _text(each, environ)
                if given is not None:
                    values[each.name] = _check(each, given)
                elif text:
                    values[each.name] = _check(each, _parse(each.name, str(each.type), text))
            except InvalidInput as error:
                faults.append(error)
        return cls(**values), faults

    @property
    def artifacts_url(self) -> str:
        """The artifact store's address, with its default applied."""
        return self.artifacts or str(self.home / "artifacts")

    @property
    def is_loopback(self) -> bool:
        """Whether the API is reachable from this machine alone."""
        return self.host in {"127.0.0.1", "localhost", "::1"}


def _check(each: Field[Any], value: Any) -> Any:
    """*value*, or InvalidInput when it is not what the field allows."""
    least, most, form = (each.metadata[name] for name in ("least", "most", "form"))
    told = f"LINEAGE_{each.name.upper()}=" + ("********" if each.metadata["secret"] else f"{value}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{told} is not a finite number", field=each.name)
    if (least is not None and value < least) or (most is not None and value > most):
        span = f"between {least:g} and {most:g}" if most is not None else f"{least:g} or more"
        raise InvalidInput(f"{told} must be {span}", field=each.name)
    if form is not None and value and not re.fullmatch(form[0], value):
        raise InvalidInput(f"{told} is not {form[1]}", field=each.name)
    return value


def _text(field: Field[Any], environ: Mapping[str, str]) -> str | None:
    """What *environ* says of a field; a secret may stand in a file instead, which its `…_FILE` names."""
    name = f"LINEAGE_{field.name.upper()}"
    path = environ.get(f"{name}_FILE") if field.metadata["secret"] else None
    if not path or environ.get(name):
        return environ.get(name)
    try:
        return Path(path).expanduser().read_text().strip()
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InvalidInput(f"{name}_FILE={path} cannot be read: {reason}", field=field.name) from error


WORDS = {"bool": "yes or no", "int": "a whole number", "float": "a number"}


def _parse(name: str, type_: str, text: str) -> Any:
    kind = type_.removeprefix("<class '").removesuffix("'>").rsplit(".", 1)[-1]
    try:
        if kind == "bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[text.lower()]
        if kind == "Path":
            return Path(text).expanduser()
        return int(text) if kind == "int" else float(text) if kind == "float" else text
    except (KeyError, ValueError) as error:
        raise InvalidInput(f"LINEAGE_{name.upper()}={text!r} is not {WORDS[kind]}", field=name) from error
