"""The schema, put together; `python -m api.schema` prints it as it is kept in api/schema.graphql."""

from collections.abc import Iterator

from strawberry.extensions import AddValidationRules, MaxTokensLimiter, ParserCache, SchemaExtension, ValidationCache
from strawberry.types.graphql import OperationType

from api.artifacts import TYPES
from api.errors import Schema
from api.limits import MAX_TOKENS, Limits
from api.mutations import Mutation
from api.queries import Query
from api.sdl import CONFIG
from api.subscriptions import Subscription
from lineage.errors import InvalidInput


class OverSockets(SchemaExtension):
    """Keeps subscriptions to sockets: a request has one answer."""

    def on_execute(self) -> Iterator[None]:
        """Raise InvalidInput for a subscription that came as a request."""
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
    extensions=[
        lambda: MaxTokensLimiter(MAX_TOKENS),
        lambda: AddValidationRules([Limits]),
        ParserCache,
        ValidationCache,
        OverSockets,
    ],
)


def sdl() -> str:
    """The schema as text, as it is committed."""
    return schema.as_str() + "\n"


if __name__ == "__main__":
    print(sdl(), end="")
