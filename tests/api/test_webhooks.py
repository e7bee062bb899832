"""Webhooks over HTTP, from Python and from the command line."""

import json
import stat
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


async def test_from_python(client: Client, store: Store) -> None:
    """A webhook is made, has what it is to be told, which can be sent again, is paused, resumed and deleted."""
    version = Artifact.defined(ArtifactKind.DATASET, "flights", {"n": 1})
    with Lineage(client.url) as lineage:
        made = await to_thread.run_sync(
            lambda: lineage.create_webhook("ops", "https://example.org/x", ["artifact-recorded"], kinds=["Dataset"])
        )
        await store.artifacts.record([version], now=datetime.now(UTC) + timedelta(milliseconds=1), by="t")
        await attend(store)

        def look() -> tuple[Any, ...]:
            (sent,) = lineage.deliveries(made.id)
            again, dead = lineage.redeliver(sent.id), lineage.deliveries(states=["DEAD"])
            paused, resumed = lineage.pause_webhook("ops"), lineage.resume_webhook(made.id)
            return sent, again, dead, paused, resumed, lineage.delete_webhook("ops"), lineage.webhooks()

        sent, again, dead, paused, resumed, deleted, left = await to_thread.run_sync(look)

    assert (["ARTIFACT_RECORDED"], ["DATASET"], None) == (made.events, made.kinds, made.secret)
    assert version.id == json.loads(sent.payload)["data"]["id"]
    assert ("WAITING", sent.id, []) == (again.state, again.id, dead)
    assert (True, False, True, []) == (paused.paused, resumed.paused, deleted.deleted_at is not None, left)


async def test_what_cannot_be_told(client: Client) -> None:
    """An address that is none is INVALID_INPUT; an unknown webhook or delivery is NOT_FOUND."""
    create = 'mutation { createWebhook(input: {name: "n", url: "gopher://x", events: [FIRED]}) { webhook { id } } }'
    wrong = await client.refused(create)
    unknown = await client.refused('mutation { pauseWebhook(input: {name: "x"}) { webhook { id } } }')
    missing = await client.refused('mutation { redeliver(input: {id: "msg_x"}) { delivery { id } } }')

    assert ("INVALID_INPUT", "url") == (wrong["code"], wrong["field"])
    assert ("NOT_FOUND", "NOT_FOUND") == (unknown["code"], missing["code"])


async def test_from_the_command_line(client: Client, tmp_path: Path) -> None:
    """`lineage webhook` keeps a secret for its owner alone, and makes, lists, pauses, resumes and deletes."""
    secret = await command(client, tmp_path, "webhook", "secret", "ops")
    twice = await command(client, tmp_path, "webhook", "secret", "ops")
    given = ("ops", "https://example.org/x", "--event", "fired", "--event", "promoted", "--secret", "ops")
    made = await command(client, tmp_path, "webhook", "create", *given, "--json")
    listed = await command(client, tmp_path, "webhook", "list")
    paused = await command(client, tmp_path, "webhook", "pause", "ops")
    resumed = await command(client, tmp_path, "webhook", "resume", "ops", "--json")
    sent = await command(client, tmp_path, "webhook", "deliveries", "--dead", "--json")
    gone = await command(client, tmp_path, "webhook", "delete", "ops")

    kept = tmp_path / "secrets" / "ops"
    assert (secret.stdout, 0o600) == (kept.read_text(), stat.S_IMODE(kept.stat().st_mode))
    assert (1, True) == (twice.returncode, "already" in twice.stderr)
    assert (["FIRED", "PROMOTED"], "ops") == (json.loads(made.stdout)["events"], json.loads(made.stdout)["secret"])
    assert "https://example.org/x" in listed.stdout
    assert (True, False) == (paused.stdout.strip().endswith("paused"), json.loads(resumed.stdout)["paused"])
    assert {"total": 0, "deliveries": []} == json.loads(sent.stdout)
    assert gone.stdout.strip().endswith("deleted")
