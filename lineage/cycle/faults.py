"""Faults of ours, kept to the one thing that they befall, so that a duty goes on with all that comes behind it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from lineage.errors import Unavailable

log = structlog.get_logger()

#: What is said of something that a fault has befallen.
FAULT = "a fault of the worker; its log has the details"


@asynccontextmanager
async def contained(**fields: Any) -> AsyncIterator[None]:
    """Log a fault of ours, with *fields* that say what it befell, and go on; that the graph is away is no fault."""
    try:
        yield
    except Unavailable:
        raise
    except Exception:  # one schedule, plan or firing that we cannot handle must not hold up all the others
        log.exception("duty.fault", **fields)
