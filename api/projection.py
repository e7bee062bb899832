"""Lists of objects of which only attributes are asked for, made in one go: graphql-core takes ten times as long."""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    Executor,
    GraphQLError,
    GraphQLField,
    GraphQLList,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    GraphQLSchema,
    Undefined,
    is_abstract_type,
    is_enum_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import FieldDetailsList
from strawberry.resolvers import is_default_resolver
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter

from api.coercion import Lists

#: Makes what a client gets of a value; raises whatever it likes where it cannot.
Make: TypeAlias = Callable[[Any], Any]
Resolving: TypeAlias = GraphQLResolveInfo[Any]


class NotPlain(Exception):
    """Something is asked for that is no attribute, or a value is not what its type says."""


class Projection(StrawberryGraphQLCoreExecutionContext):
    """Executes as graphql-core does, and makes plain lists in one go.

    A list is plain where everything that is selected of its items, at any depth, is an attribute of them: no resolver,
    no arguments. What is selected is read by graphql-core, with its fragments, aliases and directives. Any other list,
    and one with a value that its type does not allow, is left to graphql-core whole, which says what is wrong.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The details stand beside what is made of them, so that no other list gets their id.
        self._makers: dict[tuple[str, int], tuple[FieldDetailsList, Make | None]] = {}

    @classmethod
    def build(
        cls,
        schema: GraphQLSchema,
        document: DocumentNode,
        root_value: Any = None,
        context_value: Any = None,
        raw_variable_values: dict[str, Any] | None = None,
        *rest: Any,
        **more: Any,
    ) -> list[GraphQLError] | Executor[Any]:
        """An executor of *document*, or what is wrong with it; long lists among its variables are coerced in one go."""
        lists = Lists(schema, document, raw_variable_values or {})
        built = super().build(schema, document, root_value, context_value, lists.rest, *rest, **more)
        if isinstance(built, list):  # what is wrong is said of what was given
            return super().build(schema, document, root_value, context_value, raw_variable_values, *rest, **more)
        lists.put_back(built.variable_values)
        return built

    def complete_list_value(
        self,
        return_type: GraphQLList[GraphQLOutputType],
        field_details_list: FieldDetailsList,
        info: Resolving,
        path: Any,
        result: Any,
        position_context: Any,
    ) -> Any:
        """What a client gets of the list *result*."""
        key = str(return_type), id(field_details_list)
        if key not in self._makers:
            self._makers[key] = field_details_list, self._maker(return_type, field_details_list, info)
        make = self._makers[key][1]
        if make is not None:
            try:
                return make(result)
            except Exception:  # noqa: BLE001  # graphql-core meets it again, and says where
                self._makers[key] = field_details_list, None
        return super().complete_list_value(return_type, field_details_list, info, path, result, position_context)

    def _maker(self, type_: GraphQLList[Any], details: FieldDetailsList, info: Resolving) -> Make | None:
        try:
            return self._present(type_, details, info)
        except NotPlain:
            return None

    def _any(self, type_: GraphQLOutputType, details: FieldDetailsList, info: Resolving) -> Make:
        if is_non_null_type(type_):
            return self._present(type_.of_type, details, info)
        make = self._present(type_, details, info)
        return lambda value: None if value is None else make(value)

    def _present(self, type_: Any, details: FieldDetailsList, info: Resolving) -> Make:
        if is_list_type(type_):
            return _each(self._any(type_.of_type, details, info))
        if is_enum_type(type_):
            return cache(_leaf(type_.coerce_output_value))
        if is_leaf_type(type_):
            return _leaf(type_.coerce_output_value)
        made: dict[type, Make] = {}

        def make(value: Any) -> Any:
            cls = type(value)
            if cls not in made:
                made[cls] = self._object(self._runtime_type(type_, value, details, info), value, details, info)
            return made[cls](value)

        if not is_abstract_type(type_):
            self._parts(type_, details, info)  # so that what is not plain shows before the first item
        return make

    def _runtime_type(self, type_: Any, value: Any, details: FieldDetailsList, info: Resolving) -> GraphQLObjectType:
        if not is_abstract_type(type_):
            return type_  # type: ignore[no-any-return]
        name = (type_.resolve_type or self.type_resolver)(value, info, type_)
        return self.ensure_valid_runtime_type(name, type_, details, info, value)

    def _object(self, type_: GraphQLObjectType, value: Any, details: FieldDetailsList, info: Resolving) -> Make:
        if value is None or (type_.is_type_of and type_.is_type_of(value, info) is not True):
            raise NotPlain
        parts = self._parts(type_, details, info)
        return lambda value: {name: make(get(value)) for name, get, make in parts}

    def _parts(
        self, type_: GraphQLObjectType, details: FieldDetailsList, info: Resolving
    ) -> list[tuple[str, Make, Make]]:
        """What is selected of *type_*: under which name, how it is read, and what is made of it."""
        selected, deferred, _ = self.collect_subfields(type_, details)
        if deferred:
            raise NotPlain
        parts: list[tuple[str, Make, Make]] = []
        for name, each in selected.items():
            if (asked := each[0].node.name.value) == "__typename":
                parts.append((name, lambda _: type_.name, str))
                continue
            field = self.schema.get_field(type_, asked)
            if field is None:
                raise NotPlain
            parts.append((name, _getter(field), self._any(field.type, each, info)))
        return parts


def _getter(field: GraphQLField) -> Make:
    known = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if known is None or not is_default_resolver(field.resolve):  # type: ignore[arg-type]
        raise NotPlain
    return attrgetter(known.python_name)


def _each(make: Make) -> Make:
    def many(values: Any) -> list[Any]:
        if not isinstance(values, list | tuple):
            raise NotPlain
        return [make(value) for value in values]

    return many


def _leaf(coerce: Make) -> Make:
    def leaf(value: Any) -> Any:
        found = coerce(value)
        if found is None or found is Undefined:
            raise NotPlain
        return found

    return leaf
