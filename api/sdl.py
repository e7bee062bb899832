"""Strawberry's decorators, with docstrings as the descriptions that readers of the schema see."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NewType, TypeVar, dataclass_transform

import strawberry
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig
from strawberry.types.arguments import InputContext
from strawberry.types.scalar import ScalarDefinition
from strawberry.utils.str_converters import to_camel_case

from lineage.errors import InvalidInput

T = TypeVar("T")

#: A whole number that may not fit into the 32 bits of GraphQL's Int: bytes, rows.
Long = NewType("Long", int)
LARGEST = 2**53  # beyond it, numbers of JSON lose digits in browsers


def _long(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
        raise InvalidInput(f"{value!r} is not a whole number of at most 2^53")
    return value


SCALARS: Mapping[object, ScalarDefinition] = {
    Long: strawberry.scalar(
        name="Long", description="A whole number of at most 2^53.", serialize=_long, parse_value=_long
    ),
    JSON: strawberry.scalar(
        name="JSON", description="Any JSON value.", serialize=lambda value: value, parse_value=lambda value: value
    ),
}
CONFIG = StrawberryConfig(scalar_map=SCALARS)


def _described(decorate: Callable[..., Any], cls: type[T]) -> type[T]:
    made: type[T] = decorate(cls, description=inspect.getdoc(cls))
    for field in made.__strawberry_definition__.fields:  # type: ignore[attr-defined]
        if field.base_resolver and field.description is None:
            field.description = inspect.getdoc(field.base_resolver.wrapped_func)
    return made


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def object_type(cls: type[T]) -> type[T]:
    """Make *cls* an object type of the schema."""
    return _described(strawberry.type, cls)


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def interface(cls: type[T]) -> type[T]:
    """Make *cls* an interface of the schema."""
    return _described(strawberry.interface, cls)


@dataclass_transform(kw_only_default=True, field_specifiers=(strawberry.field,))
def input_type(cls: type[T]) -> type[T]:
    """Make *cls* an input of the schema."""
    return _described(strawberry.input, cls)


def built_by(build: Callable[[type, Mapping[str, Any], InputContext], object]) -> Callable[[type[T]], type[T]]:
    """A decorator of an input whose values *build* makes, from what clients sent under the schema's names."""

    def decorate(cls: type[T]) -> type[T]:
        cls.__strawberry_definition__.from_input = build  # type: ignore[attr-defined]
        return cls

    return decorate


def camel(name: str | None) -> str | None:
    """The name that clients know a field by."""
    return None if name is None else to_camel_case(name)
