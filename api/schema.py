"""The schema, put together; `python -m api.schema` prints it as it is kept in api/schema.graphql."""

from strawberry.extensions import AddValidationRules, MaxTokensLimiter, ParserCache, ValidationCache

from api.artifacts import TYPES
from api.errors import Schema
from api.limits import MAX_TOKENS, Limits
from api.mutations import Mutation
from api.queries import Query
from api.sdl import CONFIG
from api.subscriptions import Subscription

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
    ],
)


def sdl() -> str:
    """The schema as text, as it is committed."""
    return schema.as_str() + "\n"


if __name__ == "__main__":
    print(sdl(), end="")
