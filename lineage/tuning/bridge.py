"""A graph for callers that cannot await: one thread with an event loop, which owns the connection."""

import threading
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal

from lineage.store.graph import Graph, Row


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a graph is and how to enter it."""

    uri: str
    user: str = "neo4j"
    password: str = field(default="", repr=False)
    database: str = "neo4j"
    timeout: float = 30.0


class Bridge:
    """A connection for any number of threads, opened at the first query; pickled as its address alone.

    It closes when it is closed, when it is forgotten, or when the interpreter ends.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._lock = threading.Lock()
        self._open: tuple[BlockingPortal, Graph] | None = None
        self._closer: weakref.finalize[..., Any] | None = None

    def __getstate__(self) -> Mapping[str, Any]:
        return {"address": self.address}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__init__(state["address"])  # type: ignore[misc]

    def one(self, name: str, /, **params: Any) -> Row | None:
        """The first row of the query *name*, or None."""
        portal, graph = self._opened()
        return portal.call(lambda: graph.one(name, **params))

    def many(self, name: str, /, **params: Any) -> list[Row]:
        """The rows of the query *name*."""
        portal, graph = self._opened()
        return portal.call(lambda: graph.many(name, **params))

    def close(self) -> None:
        """Give the connection and the thread back; the next query opens them anew."""
        with self._lock:
            self._open = None
            if self._closer is not None:
                self._closer()

    def _opened(self) -> tuple[BlockingPortal, Graph]:
        with self._lock:
            if self._open is None:
                self._open = self._connect()
            return self._open

    def _connect(self) -> tuple[BlockingPortal, Graph]:
        at = self.address
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal(name="lineage-storage"))
            graph = portal.call(
                lambda: Graph.open(at.uri, at.user, at.password, database=at.database, timeout=at.timeout)
            )
            stack.callback(portal.call, graph.close)
            self._closer = weakref.finalize(self, stack.pop_all().close)
        return portal, graph
