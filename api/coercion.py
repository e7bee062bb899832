"""Lists in variables, coerced in one go: graphql-core asks of each item anew what its type is."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

from graphql import (
    DocumentNode,
    GraphQLInputObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    Undefined,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
    is_required_input_field,
    type_from_ast,
)
from graphql.execution.values import VariableValues
from graphql.utilities.coerce_input_value import coerce_default_value

#: Makes of a value what resolvers get; raises whatever it likes where its type does not allow it.
Make: TypeAlias = Callable[[Any], Any]


class Refused(Exception):
    """A value is not what its type allows, or a type is not one that is done here; graphql-core is asked."""


class Lists:
    """The lists in the fields of the variables of one operation: taken out, coerced, and put back."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, given: Mapping[str, Any]) -> None:
        #: The variables with an empty list in the place of each that was taken out.
        self.rest = dict(given)
        self._given, self._taken = given, list[tuple[str, str, list[Any]]]()
        operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
        if len(operations) == 1 and any(_lists(value) for value in given.values()):
            for each in operations[0].variable_definitions or ():
                self._take(each.variable.name.value, type_from_ast(schema, each.type))

    def put_back(self, values: VariableValues) -> None:
        """Put each list to its place among the coerced *values*, and what was given to theirs."""
        for variable, field, items in self._taken:
            values.coerced[variable][field] = items
            values.sources[variable] = values.sources[variable]._replace(value=self._given[variable])

    def _take(self, variable: str, type_: Any) -> None:
        cls = get_nullable_type(type_)
        if not is_input_object_type(cls) or "out_type" in vars(cls):
            return
        for name, items in _lists(self._given.get(variable)).items():
            try:
                made = compiled(cls.fields[name].type)(items)
            except Exception:  # noqa: BLE001  # graphql-core meets it again, and says where
                continue
            self._taken.append((variable, cls.fields[name].out_name or name, made))
            self.rest[variable] = {**self.rest[variable], name: []}


def _lists(value: Any) -> dict[str, list[Any]]:
    if not isinstance(value, dict):
        return {}
    return {name: items for name, items in value.items() if isinstance(items, list) and items}


@cache
def compiled(type_: Any, within: frozenset[str] = frozenset()) -> Make:
    """What makes values of *type_* as graphql-core's `coerce_input_value` does, and raises where that has none.

    Raise Refused for a type that has itself *within* it: how deep its values may be is graphql-core's to say.
    """
    if is_non_null_type(type_):
        return _present(type_.of_type, within)
    make = _present(type_, within)
    return lambda value: None if value is None else make(value)


def _present(type_: Any, within: frozenset[str]) -> Make:
    if is_list_type(type_):
        return _list(compiled(type_.of_type, within))
    if is_input_object_type(type_):
        return _object(type_, within)
    coerce = cache(type_.coerce_input_value) if is_enum_type(type_) else type_.coerce_input_value

    def leaf(value: Any) -> Any:
        if value is None or (made := coerce(value)) is Undefined:
            raise Refused
        return made

    return leaf


def _list(make: Make) -> Make:
    def many(value: Any) -> list[Any]:
        if value is None:
            raise Refused
        return [make(each) for each in value] if isinstance(value, list) else [make(value)]

    return many


def _object(type_: GraphQLInputObjectType, within: frozenset[str]) -> Make:
    if type_.is_one_of or type_.name in within:
        raise Refused
    within |= {type_.name}
    fields = [
        (name, field.out_name or name, compiled(field.type, within), is_required_input_field(field), field)
        for name, field in type_.fields.items()
    ]
    names, finish = type_.fields.keys(), type_.out_type

    def make(value: Any) -> Any:
        if not isinstance(value, dict) or not value.keys() <= names:
            raise Refused
        made: dict[str, Any] = {}
        for name, out, coerce, is_required, field in fields:
            if name in value:
                made[out] = coerce(value[name])
            elif is_required:
                raise Refused
            elif (default := coerce_default_value(field)) is not Undefined:
                made[out] = default
        return finish(made)

    return make
