"""optuna-dashboard shows our studies, through our storage."""

import json
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna_dashboard
import pytest
from anyio import to_thread

from lineage.store import Store
from lineage.tuning.storage import GraphStorage
from lineage.tuning.studies import Studies
from tests.lineage.tuning.searches import a_search, run_slot

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


def get(app: Callable[..., Any], path: str) -> Any:
    """The JSON that *app* answers to a GET of *path*."""
    environ: dict[str, Any] = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    return json.loads(b"".join(app(environ, lambda *_: None)))


async def test_the_dashboard_serves_a_run(store: Store, storage: GraphStorage) -> None:
    """The list of studies, and the trials of one, with their parameters and values."""
    run_id = await a_search(store, trials=4)
    await run_slot(Studies(store.graph), run_id)
    app = optuna_dashboard.wsgi(storage)

    listed = await to_thread.run_sync(get, app, "/api/studies")
    (entry,) = listed["study_summaries"]
    shown = await to_thread.run_sync(get, app, f"/api/studies/{entry['study_id']}")

    assert (run_id, ["minimize"]) == (entry["study_name"], entry["directions"])
    assert [("Complete", 2)] * 4 == [(trial["state"], len(trial["params"])) for trial in shown["trials"]]
    rows = await Studies(store.graph).trials(run_id)
    assert [[row.value] for row in rows] == [trial["values"] for trial in shown["trials"]]
