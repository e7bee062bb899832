"""Triggers over HTTP, from Python and from the command line."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio import to_thread

from lineage.artifacts import Artifact, ArtifactKind
from lineage.client import Client as Lineage
from lineage.store import Store
from tests.api.serving import Client
from tests.api.test_schedules import attend, command

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
SPEC = {"name": "copy", "uri": "copy.csv"}


async def test_from_python(client: Client, store: Store) -> None:
    """A trigger is made, fires for a new version, tells which one, is paused, resumed and deleted."""
    version = Artifact.defined(ArtifactKind.DATASET, "flights", {"n": 1})
    with Lineage(client.url) as lineage:
        made = await to_thread.run_sync(
            lambda: lineage.create_trigger(
                "again", "new-version", "registerDataset", SPEC, of="flights", kind="Dataset"
            )
        )
        await store.artifacts.record([version], now=datetime.now(UTC) + timedelta(milliseconds=1), by="t")
        await attend(store)

        def look() -> tuple[Any, ...]:
            paused, resumed = lineage.pause_trigger("again"), lineage.resume_trigger(made.id)
            return lineage.firings(made.id), paused, resumed, lineage.delete_trigger("again"), lineage.triggers()

        (firing,), paused, resumed, deleted, left = await to_thread.run_sync(look)

    assert ("NEW_VERSION", "DATASET", "QUEUE", "process") == (
        made.event,
        made.kind,
        made.overlap,
        made.spec["executor"],
    )
    assert ("EVENT", version.id, True) == (firing.cause, firing.artifact, bool(firing.run))
    assert (True, False, []) == (paused.paused, resumed.paused, left)
    assert deleted.deleted_at is not None


async def test_what_cannot_be_waited_for(client: Client) -> None:
    """Bad input is refused with the field that is wrong; an unknown trigger is NOT_FOUND."""
    create = 'mutation { createTrigger(input: {name: "n", event: METRIC, action: "score"}) { trigger { id } } }'
    wrong = await client.refused(create)
    unknown = await client.refused('mutation { pauseTrigger(input: {name: "x"}) { trigger { id } } }')

    never = await client.refused(create.replace("METRIC", 'BENCHMARK_DUE, of: "late"'))

    assert ("INVALID_INPUT", "of", "NOT_FOUND") == (wrong["code"], wrong["field"], unknown["code"])
    assert ("INVALID_INPUT", "dueAfter") == (never["code"], never["field"])


async def test_from_the_command_line(client: Client, tmp_path: Path) -> None:
    """`lineage trigger` makes, lists, pauses, resumes and deletes."""
    given = ("bad", "metric", "registerDataset", "--spec", json.dumps(SPEC), "--of", "delays", "--metric", "f1")
    made = await command(client, tmp_path, "trigger", "create", *given, "--threshold", "0.8", "--json")
    listed = await command(client, tmp_path, "trigger", "list")
    paused = await command(client, tmp_path, "trigger", "pause", "bad")
    resumed = await command(client, tmp_path, "trigger", "resume", "bad", "--json")
    due = (
        "weekly",
        "benchmark-due",
        "registerDataset",
        "--spec",
        json.dumps(SPEC),
        "--of",
        "late",
        "--due-after",
        "60",
    )
    weekly = json.loads((await command(client, tmp_path, "trigger", "create", *due, "--json")).stdout)
    await command(client, tmp_path, "trigger", "delete", "weekly")
    gone = await command(client, tmp_path, "trigger", "delete", "bad")
    history = await command(client, tmp_path, "trigger", "history", "bad", "--json")
    unknown = await command(client, tmp_path, "trigger", "history", "good")
    machine = await command(client, tmp_path, "trigger", "list", "--json")

    assert ("METRIC", 0.8) == (json.loads(made.stdout)["event"], json.loads(made.stdout)["threshold"])
    assert "MODEL:delays" in listed.stdout
    assert ({"firings": []}, 1) == (json.loads(history.stdout), unknown.returncode)
    assert "there is no trigger 'good'" in unknown.stderr
    assert ("BENCHMARK_DUE", "BENCHMARK", 60.0) == (weekly["event"], weekly["kind"], weekly["due_after"])
    assert (True, False) == (paused.stdout.strip().endswith("paused"), json.loads(resumed.stdout)["paused"])
    assert (True, []) == (gone.stdout.strip().endswith("deleted"), json.loads(machine.stdout)["triggers"])
