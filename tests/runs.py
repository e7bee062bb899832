"""Runs as tests need them."""

from typing import Any

from lineage.runs import Run, RunKind, RunState, new_run_id
from tests.conftest import NOW


def a_run(kind: RunKind, **changes: Any) -> Run:
    """A run of *kind* that waits for a worker."""
    fields: dict[str, Any] = {
        "id": new_run_id(),
        "state": RunState.QUEUED,
        "executor": "process",
        "spec": {},
        "created_at": NOW,
        "created_by": "ann",
    }
    return Run(kind=kind, **{**fields, **changes})
