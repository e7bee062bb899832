"""Schedules over HTTP, from Python and from the command line, and firings over a socket."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread
from gql import gql

from lineage.client import Client as Lineage
from lineage.cycle import DUTIES
from lineage.cycle.actions import ACTIONS
from lineage.runs import Outcome, RunState
from lineage.store import Store
from tests.api.serving import Client
from tests.api.test_subscriptions import subscriber

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
SPEC = {"name": "flights", "uri": "flights.csv"}
CREATE = """mutation($input: CreateScheduleInput!) { createSchedule(input: $input) {
schedule { id name cron timezone action spec catchup overlap paused next(count: 2) } } }"""


async def command(client: Client, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What `lineage …` did."""
    environment = {**os.environ, "LINEAGE_HOME": str(home), "LINEAGE_URL": client.url, "COLUMNS": "200", "TZ": "UTC"}
    line = [sys.executable, "-m", "lineage.cli", *words]
    return await to_thread.run_sync(
        lambda: subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)
    )


async def attend(store: Store) -> None:
    """What a worker does each second."""
    for duty in DUTIES:
        await duty(store, datetime.now(UTC))


async def test_a_schedule_from_its_making_to_its_end(client: Client, store: Store) -> None:
    """It is made, shown with its next instants, changed, run by hand, and its run says what fired it."""
    spec = {"input": {"name": "nightly", "cron": "30 2 * * *", "timezone": "Asia/Kolkata", "action": "registerDataset"}}
    spec["input"]["spec"] = SPEC  # type: ignore[assignment]
    made = (await client.ask(CREATE, spec))["createSchedule"]["schedule"]
    await client.ask('mutation { updateSchedule(input: {name: "nightly", overlap: QUEUE}) { schedule { overlap } } }')
    run = 'mutation { runSchedule(input: {name: "nightly", idempotencyKey: "k"}) { firing { id state } } }'
    fired = [(await client.ask(run))["runSchedule"]["firing"] for _ in range(2)]
    await attend(store)
    asked = "{ runs { edges { node { id kind firedBy { id cause source } } } } schedules { id overlap firings "
    asked += "{ totalCount edges { node { state run { id } } } } } }"
    found = await client.ask(asked)

    assert ("LAST", "SKIP", False, 2) == (made["catchup"], made["overlap"], made["paused"], len(made["next"]))
    assert all(datetime.fromisoformat(each).astimezone(UTC).minute == 0 for each in made["next"])
    assert fired[0] == fired[1]
    (node,) = [edge["node"] for edge in found["runs"]["edges"]]
    assert {"id": fired[0]["id"], "cause": "MANUAL", "source": made["id"]} == node["firedBy"]
    (schedule,) = found["schedules"]
    started = {"state": "STARTED", "run": {"id": node["id"]}}
    assert ("QUEUE", [started]) == (schedule["overlap"], [edge["node"] for edge in schedule["firings"]["edges"]])


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"cron": "often"}, "INVALID_INPUT", "cron"),
        ({"timezone": "Mars/Olympus"}, "INVALID_INPUT", "timezone"),
        ({"action": "retire"}, "INVALID_INPUT", "action"),
        ({"spec": [1]}, "INVALID_INPUT", "spec"),
        ({"catchupLimit": 100_000}, "INVALID_INPUT", "catchupLimit"),
    ],
)
async def test_what_cannot_be_scheduled(client: Client, changes: dict[str, Any], code: str, field: str) -> None:
    """Bad input is refused with the field that is wrong."""
    input = {"name": "n", "cron": "@daily", "action": "registerDataset", "spec": SPEC, **changes}

    error = await client.refused(CREATE, {"input": input})

    assert (code, field) == (error["code"], error["field"])


async def test_a_schedule_that_is_not_there(client: Client) -> None:
    """Naming no schedule is INVALID_INPUT, naming one that does not exist NOT_FOUND."""
    nothing = await client.refused("mutation { pauseSchedule(input: {}) { schedule { id } } }")
    unknown = await client.refused('{ schedule(name: "x") { id } }')

    assert ("INVALID_INPUT", "NOT_FOUND") == (nothing["code"], unknown["code"])


async def test_from_python(client: Client, store: Store) -> None:
    """The client's verbs do what the mutations do."""
    with Lineage(client.url) as lineage:

        def work() -> tuple[Any, ...]:
            made = lineage.create_schedule("nightly", "@daily", "registerDataset", SPEC, timezone="Europe/Berlin")
            changed = lineage.update_schedule(made.id, cron="@hourly")
            paused = lineage.pause_schedule("nightly")
            fired = lineage.run_schedule(made.id)
            resumed = lineage.resume_schedule("nightly")
            return made, changed, paused, fired, resumed, lineage.schedule("nightly", count=3)

        made, changed, paused, fired, resumed, found = await to_thread.run_sync(work)
        await attend(store)
        (firing,) = await to_thread.run_sync(lambda: lineage.firings(made.id))
        deleted = await to_thread.run_sync(lambda: lineage.delete_schedule("nightly"))
        left = await to_thread.run_sync(lineage.schedules)

    assert ("@daily", "@hourly", SPEC["name"]) == (made.cron, changed.cron, made.spec["name"])
    assert (True, (), False, 3) == (paused.paused, paused.next, resumed.paused, len(found.next))
    assert timedelta(hours=1) == found.next[1] - found.next[0]
    assert (fired.id, "STARTED", True) == (firing.id, firing.state, (firing.run or "").startswith("run-"))
    assert (True, []) == (deleted.deleted_at is not None, left)


async def test_from_the_command_line(client: Client, tmp_path: Path) -> None:
    """`lineage schedule` makes, lists, changes, pauses, resumes, runs, deletes, and tells what is next."""
    given = ("nightly", "30 2 * * *", "registerDataset", "--spec", json.dumps(SPEC), "--timezone", "Europe/Berlin")
    made = await command(client, tmp_path, "schedule", "create", *given, "--json")
    listed = await command(client, tmp_path, "schedule", "list")
    told = await command(client, tmp_path, "schedule", "next", "nightly", "--count", "2")
    machine = await command(client, tmp_path, "schedule", "next", "nightly", "--count", "2", "--json")
    changes = ("--cron", "@hourly", "--overlap", "queue", "--json")
    changed = await command(client, tmp_path, "schedule", "update", "nightly", *changes)
    unchanged = await command(client, tmp_path, "schedule", "update", "nightly")
    paused = await command(client, tmp_path, "schedule", "pause", "nightly")
    resumed = await command(client, tmp_path, "schedule", "resume", "nightly", "--json")
    fired = await command(client, tmp_path, "schedule", "run", "nightly", "--json")
    gone = await command(client, tmp_path, "schedule", "delete", "nightly")
    refused = await command(client, tmp_path, "schedule", "create", "x", "@daily", "score", "--spec", "{")

    assert "nightly" == json.loads(made.stdout)["name"]
    assert "Europe/Berlin" in listed.stdout
    assert ["02:30:00", "02:30:00"] == [line[11:19] for line in told.stdout.splitlines()]
    assert [datetime.fromisoformat(line) for line in told.stdout.splitlines()] == [
        datetime.fromisoformat(each) for each in json.loads(machine.stdout)["next"]
    ]
    now = json.loads(changed.stdout)
    assert ("@hourly", "QUEUE", "Europe/Berlin") == (now["cron"], now["overlap"], now["timezone"])
    assert SPEC["name"] == now["spec"]["name"]
    assert (1, True) == (unchanged.returncode, "name a part of the schedule" in unchanged.stderr)
    assert paused.stdout.strip().endswith("paused")
    assert (False, "WAITING") == (json.loads(resumed.stdout)["paused"], json.loads(fired.stdout)["state"])
    assert gone.stdout.strip().endswith("deleted")
    assert (1, "", True) == (refused.returncode, refused.stdout, "not JSON" in refused.stderr)


async def test_a_run_by_hand_is_waited_for(client: Client, store: Store, tmp_path: Path) -> None:
    """`run --wait` ends when what was started is over, with 1 where that failed; `history` shows both, and what was."""
    given = ("nightly", "@yearly", "registerDataset", "--spec", json.dumps(SPEC))
    await command(client, tmp_path, "schedule", "create", *given)
    codes = list[int]()

    async def by_hand() -> None:
        codes.append((await command(client, tmp_path, "schedule", "run", "nightly", "--wait", "--json")).returncode)

    for state in (RunState.SUCCEEDED, RunState.FAILED):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(by_hand)
            lease = None
            while lease is None:
                await attend(store)
                now = datetime.now(UTC)
                lease = await store.runs.lease("w", executors=["process"], now=now, ttl=timedelta(minutes=1))
            await store.runs.finish(lease, Outcome(state=state), now=now)
            await attend(store)
    told = await command(client, tmp_path, "schedule", "history", "nightly", "--json")
    shown = await command(client, tmp_path, "schedule", "history", "nightly", "--first", "1")

    found = json.loads(told.stdout)["firings"]
    assert [0, 1] == codes
    assert [("MANUAL", "DONE", True)] * 2 == [(each["cause"], each["state"], bool(each["run"])) for each in found]
    assert [found[0]["run"]] == [word for word in shown.stdout.split() if word.startswith("run-")]


async def test_firings_are_watched(client: Client, store: Store) -> None:
    """A watcher sees a firing when it is recorded, and again when its run has been started."""
    with Lineage(client.url) as lineage:
        made = await to_thread.run_sync(lambda: lineage.create_schedule("n", "@yearly", "registerDataset", SPEC))
        query = gql("subscription ($of: ID) { firingUpdated(source: $of) { id state run { kind } } }")
        query.variable_values = {"of": made.id}
        seen: list[dict[str, Any]] = []

        async def fire() -> None:
            await anyio.sleep(0.5)  # until the watcher has begun
            await to_thread.run_sync(lambda: lineage.run_schedule("n"))

        async with subscriber(client) as session, anyio.create_task_group() as tasks:
            tasks.start_soon(fire)
            async for event in session.subscribe(query):
                seen.append(event["firingUpdated"])
                if seen[-1]["state"] == "STARTED":
                    break
                await attend(store)

    # Whether the poll meets the moment in which a worker is about to start it is chance.
    told = [(each["state"], each["run"]) for each in seen if each["state"] != "STARTING"]
    assert [("WAITING", None), ("STARTED", {"kind": "INGEST"})] == told
    assert 1 == len({each["id"] for each in seen})


@pytest.mark.parametrize("action", sorted(ACTIONS))
async def test_every_action_is_documented(action: str) -> None:
    """Each action stands on the page on schedules."""
    page = Path(__file__).parent.parent.parent / "docs" / "schedules.md"

    assert f"`{action}`" in page.read_text()
