"""Specs: what an action is recorded with, as JSON, read into the dataclass that the action wants."""

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from lineage.errors import InvalidInput

T = TypeVar("T")
FIELD = "spec"


def read(cls: type[T], spec: Mapping[str, Any]) -> T:
    """*spec* as a *cls*; names may be spelled as in GraphQL. Raise InvalidInput that names what is wrong."""
    try:
        return msgspec.convert(_named(cls, spec), cls)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"spec: {error}", field=FIELD) from error


def _named(cls: type[Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    known, hints = {each.name: each for each in fields(cls)}, get_type_hints(cls)
    given: dict[str, Any] = {}
    for key, value in spec.items():
        name = snake(key)
        if name not in known:
            raise InvalidInput.unknown("part of the spec", key, [*known], field=FIELD)
        nested = _object(hints[name])
        given[name] = _named(nested, value) if nested and isinstance(value, Mapping) else value
    missing = [name for name, each in known.items() if name not in given and _is_required(each)]
    if missing:
        raise InvalidInput(f"the spec lacks {', '.join(missing)}", field=FIELD)
    return {name: value for name, value in given.items() if value is not None or _is_required(known[name])}


def _object(hint: Any) -> type[Any] | None:
    """The dataclass that a value of the type *hint* is, where it is one."""
    return next((each for each in (hint, *get_args(hint)) if isinstance(each, type) and is_dataclass(each)), None)


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def snake(name: str) -> str:
    """*name* as Python spells it."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
