"""Workers that die: a graph whose owner is killed just before or just behind its nth word to the server."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from lineage.store import Store
from lineage.store.graph import Graph, Row, Transaction

T = TypeVar("T")


class Killed(BaseException):
    """The worker is no more; nothing of ours may catch this."""


class Mortal(Graph):
    """The same graph, for a worker that gets *words* words out and then is killed.

    Args:
        is_heard: whether the server still does what the last word said.
    """

    def __init__(self, graph: Graph, words: int, *, is_heard: bool) -> None:
        super().__init__(graph._driver, graph.database, timeout=graph.timeout)
        self.words, self.is_heard = words, is_heard

    async def many(self, name: str, /, *, timeout: float | None = None, **params: Any) -> list[Row]:
        """The rows of a query, if the worker lives to read them."""
        return await self._said(lambda: super(Mortal, self).many(name, timeout=timeout, **params))

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """A transaction, if the worker lives to see its end."""
        return await self._said(lambda: super(Mortal, self).write(work))

    async def _said(self, speak: Callable[[], Awaitable[T]]) -> T:
        self.words -= 1
        if self.words < 0 and not self.is_heard:
            raise Killed
        answer = await speak()
        if self.words < 0:
            raise Killed
        return answer


def mortal(store: Store, words: int, *, is_heard: bool) -> Store:
    """*store* as a worker sees it that is killed after *words* words."""
    return Store(Mortal(store.graph, words, is_heard=is_heard))
