"""The schema, put together; `python -m api.schema` prints it as it is kept in api/schema.graphql."""

from collections.abc import Iterator

from strawberry.extensions import ParserCache, ValidationCache
from strawberry.types.graphql import OperationType

from api.artifacts import TYPES
from api.errors import Schema
from api.limits import MAX_TOKENS, Limits
from api.mutations import Mutation
from api.projection import Projection
from api.queries import Query
from api.sdl import CONFIG
from api.subscriptions import Subscription
from lineage.errors import InvalidInput


class Documents(ParserCache, ValidationCache):
    """Bounds and keeps what clients ask; one extension, since each costs every request some of its time."""

    def on_operation(self) -> Iterator[None]:
        """Say how long a document may be, and what rules it is checked by."""
        context = self.execution_context
        context.parse_options["max_tokens"] = MAX_TOKENS
        context.validation_rules += (Limits,)
        yield

    def on_execute(self) -> Iterator[None]:
        """Keep subscriptions to sockets: raise InvalidInput for one that came as a request, which has one answer."""
        context = self.execution_context
        if context.operation_type is OperationType.SUBSCRIPTION and not context.context.is_socket:
            raise InvalidInput("subscriptions need a WebSocket that speaks graphql-transport-ws")
        yield


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=list(TYPES.values()),
    config=CONFIG,
    extensions=[Documents],
    execution_context_class=Projection,
)


def sdl() -> str:
    """The schema as text, as it is committed."""
    return schema.as_str() + "\n"


if __name__ == "__main__":
    print(sdl(), end="")
