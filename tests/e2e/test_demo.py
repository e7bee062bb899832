"""`lineage up` and `lineage demo` as a user runs them: real processes, real data, a real search."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prov.model import ProvDocument, ProvEntity

from lineage import server
from lineage.audits import seals
from lineage.settings import Settings
from tests.e2e import pages

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]
SECONDS = 600
COMMAND = [sys.executable, "-m", "lineage.cli"]


@dataclass
class Home:
    """A data directory with `lineage up` on it, and what the demo said the first time and the second."""

    path: Path
    process: subprocess.Popen[str]
    greeting: dict[str, Any]
    first: dict[str, Any]
    again: dict[str, Any]

    def ask(self, *words: str, code: int = 0) -> Any:
        """What `lineage … --json` answers."""
        done = subprocess.run(
            [*COMMAND, *words, "--json"], env=environ(self.path), capture_output=True, text=True, check=False
        )
        assert code == done.returncode, done.stderr
        return json.loads(done.stdout)


def environ(home: Path) -> dict[str, str]:
    """The environment of a user whose data directory is *home*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LINEAGE_")}
    return {**kept, "LINEAGE_HOME": str(home), "LINEAGE_PORT": "0"}


def demo(home: Path) -> dict[str, Any]:
    """The summary of `lineage demo`."""
    done = subprocess.run(
        [*COMMAND, "demo", "--trials", "3", "--json"],
        env=environ(home),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A data directory on which the demo ran twice."""
    path = tmp_path_factory.mktemp("home")
    with subprocess.Popen([*COMMAND, "up", "--json"], env=environ(path), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            greeting = json.loads(process.stdout.readline())
            yield Home(path, process, greeting, demo(path), demo(path))
        finally:
            process.terminate()
            process.wait(timeout=240)


def test_the_model_is_good(home: Home) -> None:
    """The search finds a model that reaches its bars honestly, and it is promoted."""
    values = home.first["evaluation"]["values"]

    assert home.first["evaluation"]["passed"]
    assert "champion" == home.first["promoted"]
    assert 0.85 < values["roc_auc"] < 0.97
    assert 55_536 == sum(map(sum, home.first["evaluation"]["confusion_matrix"]["matrix"]))


def test_every_trial_counts(home: Home) -> None:
    """Each trial of the budget ended for good."""
    assert 3 == sum(home.first["tune"]["trials"].values())
    assert set(home.first["tune"]["trials"]) <= {"COMPLETE", "PRUNED"}


def test_the_record_is_complete(home: Home) -> None:
    """The audit has no gaps, and all bytes are those that were recorded."""
    audit = home.first["audit"]

    assert (True, []) == (audit["complete"], audit["gaps"])
    assert audit["digests"] == audit["verified"] > 0


def test_impact_of_a_column(home: Home) -> None:
    """A column that is wrong leads to the model and its predictions."""
    counts = home.first["impact"]["counts"]

    assert home.first["impact"]["complete"]
    assert {"Feature", "FeatureSet", "TrainingSet", "Model", "Evaluation", "Predictions"} <= set(counts)


def test_again_finds_it_all(home: Home) -> None:
    """Run again, the demo finds what it made: the same runs, the same nodes."""
    same = ("datasets", "tune", "model", "evaluation", "predictions", "impact", "audit")

    assert {name: home.first[name] for name in same} == {name: home.again[name] for name in same}


def test_the_command_line_asks_the_same(home: Home) -> None:
    """impact, audit, search and run show what the demo has shown."""
    impact = home.ask("impact", "Column:flights.dep_delay")
    audit = home.ask("audit", "late-flights@champion")
    search = home.ask("search", "dep_delay")
    run = home.ask("run", "show", home.first["tune"]["run"])

    assert home.first["impact"]["total"] == impact["walk"]["total"]
    assert (True, home.first["model"]["id"]) == (audit["complete"], audit["model"]["id"])
    assert "Feature" in {each["kind"] for each in search["artifacts"]}
    assert ("SUCCEEDED", 3) == (run["run"]["state"], len(run["trials"]))
    assert "trial 0" in home.ask("run", "logs", home.first["tune"]["run"])["log"]
    assert {"TUNE", "SCORE"} <= {each["kind"] for each in home.ask("run", "list")["runs"]}


def test_an_audit_in_a_file(home: Home, tmp_path: Path) -> None:
    """An audit is written as a page, as PROV and as JSON; beside the JSON, a later audit says what has changed."""
    page, prov, before = (tmp_path / name for name in ("a.html", "a.prov.json", "a.json"))
    for target in (page, prov, before):
        home.ask("audit", "late-flights@champion", "--export", str(target))
    same = home.ask("audit", "late-flights@champion", "--check", str(before))
    export = json.loads(before.read_text())
    gone = export["facts"].pop()
    before.write_text(json.dumps(export))
    forged = subprocess.run(
        [*COMMAND, "audit", "late-flights@champion", "--check", str(before)],
        env=environ(home.path),
        capture_output=True,
        text=True,
        check=False,
    )
    before.write_text(json.dumps({**export, "seal": seals.seal_of(export)}))
    changed = home.ask("audit", "late-flights@champion", "--check", str(before), code=1)

    assert 2 == page.read_text().count("<path")
    assert ProvDocument.deserialize(prov, format="json").get_records(ProvEntity)
    assert (True, []) == (same["audit"]["complete"], same["changes"])
    assert (1, True) == (forged.returncode, "changed since it was sealed" in forged.stderr)
    assert [("ADDED", gone["name"])] == [(each["change"], each["name"]) for each in changed["changes"]]


def answers(home: Home, kind: str) -> int:
    """Hold the GraphQL examples of a *kind* in the README against the answers below them; how many there are."""
    text = (Path(__file__).parents[2] / "README.md").read_text()
    examples = re.findall(rf"^```graphql\n({kind} .*?)^```\n^```json\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    column = home.ask("impact", "Column:flights.dep_delay")["of"]["id"]
    known = {"column": column, "model": home.first["model"]["id"]}
    for query, answer in examples:
        wanted = {name: known[name] for name in re.findall(r"\$(\w+):", query)}
        reply = httpx.post(f"{home.first['url']}/graphql", json={"query": query, "variables": wanted}, timeout=60)
        assert {"data": json.loads(answer)} == reply.json()
    return len(examples)


def test_the_readme_says_what_is_answered(home: Home) -> None:
    """Each question of the README gives the very answer that stands below it."""
    assert 2 == answers(home, "query")


def test_the_page_on_healing_says_what_is_printed(home: Home, tmp_path: Path) -> None:
    """Each command of docs/healing.md does in a shell what the page says, and prints it to the letter."""
    page = Path(__file__).parents[2] / "docs" / "healing.md"

    said, printed = zip(*pages.walk(page, home.path, tmp_path, environ(home.path)), strict=True)

    assert said == printed
    assert 7 <= len(said)


def test_the_readme_says_what_is_done(home: Home) -> None:
    """So does what it has done; of it the walk knows nothing, so it comes later."""
    assert 1 == answers(home, "mutation")


def test_what_dies_is_started_again(home: Home) -> None:
    """An API that is killed comes back by itself, with all that it knew."""
    killed = psutil.Process(home.greeting["pids"]["api"])
    killed.kill()
    deadline = time.monotonic() + 60
    while killed.is_running() or server.running(Settings(home=home.path)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)

    assert home.ask("run", "list")["runs"]


def test_zz_stopping_leaves_nothing_behind(home: Home) -> None:
    """SIGTERM stops everything that `lineage up` started."""
    family = psutil.Process(home.process.pid).children(recursive=True)
    assert 3 <= len(family)
    home.process.send_signal(signal.SIGTERM)

    assert 0 == home.process.wait(timeout=240)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [] == [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]
    assert server.running(Settings(home=home.path)) is None
