"""The one home of the driver: named queries go out, plain rows come back."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC
from typing import Any, Self, TypeVar

import neo4j
from neo4j import exceptions, time

from lineage.errors import (
    Conflict,
    InvalidInput,
    LimitExceeded,
    LineageError,
    TookTooLong,
    Unauthenticated,
    Unavailable,
)
from lineage.store.queries import Query, load

Row = dict[str, Any]
T = TypeVar("T")

#: Seconds that the driver goes on trying a transaction that met a passing fault.
RETRY_SECONDS = 15.0
#: Types of values that stay as they come.
PLAIN = frozenset({str, int, float, bool, type(None)})
TIMED_OUT = ("TransactionTimedOut", "TransactionTimedOutClientConfiguration", "LockAcquisitionTimeout")
OUT_OF_MEMORY = ("MemoryPoolOutOfMemoryError", "TransactionOutOfMemoryError", "OutOfMemoryError")


class Transaction:
    """A write transaction: named queries, all or nothing."""

    def __init__(self, tx: neo4j.AsyncManagedTransaction) -> None:
        self._tx = tx

    async def many(self, name: str, /, **params: Any) -> list[Row]:
        """The rows of a query."""
        return await _rows(self._tx, load()[name], params)

    async def one(self, name: str, /, **params: Any) -> Row | None:
        """The first row of a query, or None."""
        rows = await self.many(name, **params)
        return rows[0] if rows else None

    async def run(self, name: str, /, **params: Any) -> None:
        """Send a query that gives no rows."""
        await self.many(name, **params)

    async def script(self, text: str) -> None:
        """Send one statement of a migration as it stands."""
        await (await self._tx.run(text)).consume()


class Graph:
    """A connection to one database: every query by its name in cypher/queries."""

    def __init__(self, driver: neo4j.AsyncDriver, database: str, *, timeout: float) -> None:
        self._driver, self.database, self.timeout = driver, database, timeout

    @classmethod
    async def open(cls, uri: str, user: str, password: str, *, database: str = "neo4j", timeout: float = 30.0) -> Self:
        """Connect; raise Unavailable when the server does not answer, Unauthenticated when it refuses us.

        Args:
            timeout: seconds that one query may take.
        """
        driver = neo4j.AsyncGraphDatabase.driver(
            uri,
            auth=(user, password),
            max_transaction_retry_time=RETRY_SECONDS,
            notifications_min_severity="OFF",
            telemetry_disabled=True,
        )
        try:
            with mapped():
                await driver.verify_connectivity()
        except LineageError:
            await driver.close()
            raise
        return cls(driver, database, timeout=timeout)

    @classmethod
    async def claim(cls, uri: str, password: str) -> bool:
        """Give a new server, which still has the password that Neo4j ships, *password*; False when it has one."""
        try:
            graph = await cls.open(uri, "neo4j", "neo4j", database="system")
        except Unauthenticated:
            return False
        try:
            await graph.run("set_own_password", password=password)
        finally:
            await graph.close()
        return True

    async def close(self) -> None:
        """Give the connections back."""
        await self._driver.close()

    async def many(self, name: str, /, *, timeout: float | None = None, **params: Any) -> list[Row]:
        """The rows of the query *name*; a passing fault is tried again within RETRY_SECONDS."""
        query = _checked(load()[name], params)
        sent = neo4j.Query(query.text, timeout=timeout or self.timeout)
        with mapped():
            if query.access == "read":
                try:
                    return await self._read(sent, params)
                except (exceptions.Neo4jError, exceptions.DriverError) as error:
                    if not error.is_retryable() or is_out_of_memory(error):
                        raise
            # Of the ways that try again this alone sends the beginning of the transaction together with the query.
            return await self._driver.execute_query(
                sent,
                params,
                routing_=neo4j.RoutingControl.READ if query.access == "read" else neo4j.RoutingControl.WRITE,
                database_=self.database,
                bookmark_manager_=None,
                result_transformer_=_plain_rows,
            )

    async def _read(self, query: neo4j.Query, params: Row) -> list[Row]:
        """The rows of *query*, tried once, in a transaction that ends by itself: one journey instead of two."""
        async with self._driver.session(database=self.database, default_access_mode=neo4j.READ_ACCESS) as session:
            return await _plain_rows(await session.run(query, params))

    async def one(self, name: str, /, *, timeout: float | None = None, **params: Any) -> Row | None:
        """The first row of the query *name*, or None."""
        rows = await self.many(name, timeout=timeout, **params)
        return rows[0] if rows else None

    async def run(self, name: str, /, **params: Any) -> None:
        """Send a query that gives no rows."""
        await self.many(name, **params)

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """Do *work* in one write transaction: all or nothing, and again when it meets a passing fault."""

        @neo4j.unit_of_work(timeout=self.timeout)
        async def once(tx: neo4j.AsyncManagedTransaction) -> T:
            return await work(Transaction(tx))

        with mapped():
            async with self._driver.session(database=self.database) as session:
                return await session.execute_write(once)

    async def script(self, text: str) -> None:
        """Send one statement of a migration as it stands, on its own."""
        with mapped():
            async with self._driver.session(database=self.database) as session:
                result = await session.run(text)
                await result.consume()

    async def explain(self, name: str, /, **params: Any) -> Mapping[str, Any]:
        """The plan that the server would follow for the query *name*."""
        query = load()[name]
        with mapped():
            async with self._driver.session(database=self.database) as session:
                result = await session.run("EXPLAIN " + query.text, params)
                summary = await result.consume()
                return dict(summary.plan or {})

    async def version(self) -> str:
        """The server's version, as `2026.08.1`."""
        with mapped():
            info = await self._driver.get_server_info()
        return str(info.agent).removeprefix("Neo4j/")


@contextmanager
def mapped() -> Iterator[None]:
    """Turn the driver's errors into ours, in this one place."""
    try:
        yield
    except exceptions.ConstraintError as error:
        raise Conflict(f"the graph refuses it: {error.message}") from error
    except exceptions.AuthError as error:
        raise Unauthenticated(f"Neo4j refuses the user or the password: {error.message}") from error
    except exceptions.Neo4jError as error:
        raise _from_server(error) from error
    except exceptions.ConfigurationError as error:
        raise Unavailable(f"Neo4j cannot be reached with these settings: {error}") from error
    except exceptions.DriverError as error:
        raise Unavailable(f"Neo4j does not answer: {error}") from error


@contextmanager
def _tried_once() -> Iterator[None]:
    """Turn what a second try would meet again into ours at once: the driver tries it for as long as it may."""
    try:
        yield
    except exceptions.Neo4jError as error:
        if is_out_of_memory(error):
            raise _from_server(error) from error
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Whether Neo4j ran out of memory, which it calls transient; the same query needs as much the next time."""
    return isinstance(error, exceptions.Neo4jError) and _name(error) in OUT_OF_MEMORY


def _name(error: exceptions.Neo4jError) -> str:
    return (error.code or "").rsplit(".", 1)[-1]


def _from_server(error: exceptions.Neo4jError) -> Exception:
    if _name(error) in TIMED_OUT:
        return TookTooLong(f"the query took too long and was stopped: {error.message}")
    if is_out_of_memory(error):
        return LimitExceeded(
            "Neo4j has not the memory for so much at once; ask about less, or give it more (LINEAGE_HEAP for the "
            f"embedded one, db.memory.transaction.max and the heap for another): {error.message}"
        )
    if "too large to index" in (error.message or ""):
        return InvalidInput("a name or a key is too long to be found again by it")
    if isinstance(error, exceptions.TransientError | exceptions.DatabaseUnavailable):
        return Unavailable(f"Neo4j is busy: {error.message}")
    if isinstance(error, exceptions.DatabaseError):
        return Unavailable(f"Neo4j failed: {error.message}")
    return error  # a statement of ours is wrong: a fault, not a condition


async def _rows(tx: neo4j.AsyncManagedTransaction, query: Query, params: Mapping[str, Any]) -> list[Row]:
    with _tried_once():
        return await _plain_rows(await tx.run(_checked(query, params).text, dict(params)))


def _checked(query: Query, params: Mapping[str, Any]) -> Query:
    if query.parameters != params.keys():
        raise TypeError(f"{query.name}: wants {sorted(query.parameters)}, got {sorted(params)}")
    return query


async def _plain_rows(result: neo4j.AsyncResult) -> list[Row]:
    return [{key: plain(record[key]) for key in record.keys()} async for record in result]  # noqa: SIM118


def plain(value: Any) -> Any:
    """*value* with the driver's times turned into aware datetimes in UTC, at any depth."""
    if isinstance(value, time.DateTime):
        return value.to_native().astimezone(UTC)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):  # of a column, most often, and those have thousands
        return value if PLAIN.issuperset(map(type, value)) else [plain(item) for item in value]
    return value
