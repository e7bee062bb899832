"""A session with one API: documents sent, answers read, lists paged."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from lineage import server
from lineage.client import documents
from lineage.client.answers import Rows, camel
from lineage.client.artifacts import Artifact
from lineage.client.runs import Run
from lineage.client.transport import Transport
from lineage.client.walks import Reached
from lineage.errors import NotFound
from lineage.settings import Settings

PATIENCE = 30.0  # seconds that a call waits for a server that is away
PAGE = 100

#: An artifact or a run, or its id.
Ref = str | Artifact | Run | Reached
#: Parts of inputs that are objects of GraphQL, whose names are spelled its way; others are JSON and stay as they are.
OBJECTS = {"files", "git", "resources", "datasets"}


class Session:
    """Speaks to one API: that of *url*, or of LINEAGE_URL, or the one that runs on the data directory."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        settings: Settings | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.settings = settings or Settings.from_environ()
        self._given = (url or self.settings.url).rstrip("/")
        token = self.settings.token if token is None else token
        self._transport = Transport(lambda: self.url, token, patience=patience)

    @property
    def url(self) -> str | None:
        """The address that is spoken to; it may change when a server of the data directory starts again."""
        return self._given or server.running(self.settings)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def query(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data that answers any GraphQL document."""
        return self._transport.send(document, variables)

    def _mutate(self, verb: str, **input: Any) -> dict[str, Any]:
        document, name = documents.mutation(verb)
        given = {camel(key): _deep(key, value) for key, value in input.items() if value is not None}
        return dict(self.query(document, input=given)[name])

    def _pages(
        self, document: str, cls: type[Any], first: int, *, within: str | None = None, **variables: Any
    ) -> Rows[Any]:
        found: list[Any] = []
        after, total = None, 0
        while len(found) < first:
            data = self.query(document, first=min(first - len(found), PAGE), after=after, **variables)
            if within and data[within] is None:
                raise NotFound(f"there is no run with the id {variables['id']!r}")
            page = (data[within] if within else data)["found"]
            found += [cls.read(edge["node"]) for edge in page["edges"]]
            total, after = page["totalCount"], page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        return Rows(found, total=total)


def id_of(ref: Ref) -> str:
    """The id of what *ref* stands for."""
    if isinstance(ref, str):
        return ref
    return ref.artifact.id if isinstance(ref, Reached) else ref.id


def _deep(key: str, value: Any) -> Any:
    if key not in OBJECTS:
        return value
    return [cased(each) for each in value] if isinstance(value, list) else cased(value)


def cased(value: Mapping[str, Any]) -> dict[str, Any]:
    """*value* with its names in GraphQL's spelling, without what is not given."""
    return {camel(key): each for key, each in value.items() if each is not None}
