"""Rows held against a model's signature: each value has the type of its column, or the caller hears which has not."""

from __future__ import annotations

import importlib.util
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from executors.inside.requests import Asked, BadRequest, NotJSON
from executors.inside.verdicts import need

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MISSING = float("nan")
SHOWN = 60  # characters of a bad value that the caller hears


def _long(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # writers of JSON that know one kind of number send 1.0 or 1 as they like
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _double(value: Any) -> float:
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError
    found = float(value)
    if not math.isfinite(found):
        raise ValueError
    return found


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _string(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError
    return value


def _datetime(value: Any) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError
    found = datetime.fromisoformat(value)
    return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found


#: MLflow's type → how a value of JSON becomes one of it, what callers read of it, the type of the column.
TYPES: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "long": (_long, "a whole number", "int64"),
    "integer": (_long, "a whole number", "int64"),
    "double": (_double, "a number or null", "float64"),
    "float": (_double, "a number or null", "float32"),
    "boolean": (_boolean, "true or false", "bool"),
    "string": (_string, "a string or null", "object"),
    "datetime": (_datetime, "a moment in ISO 8601, as 2026-01-31T12:00:00", "datetime64[us]"),
}
WORDS = {"true": True, "false": False}


class Signature:
    """The columns that a model wants: in their order, each of its type."""

    def __init__(self, inputs: Sequence[dict[str, Any]]) -> None:
        self.columns = [(str(each["name"]), str(each["type"])) for each in inputs]
        self.names = [name for name, _ in self.columns]
        self._optional = {str(each["name"]) for each in inputs if not each.get("required", True)}
        self._has_pandas = importlib.util.find_spec("pandas") is not None

    def table(self, asked: Asked, *, from_text: bool = False) -> Any:
        """The rows as what the model was trained on; raise BadRequest as `values` does."""
        return self.framed(self.values(asked, from_text=from_text))

    def values(self, asked: Asked, *, from_text: bool = False) -> dict[str, list[Any]]:
        """The values of each column that the model wants; others are left aside, as MLflow does.

        Raise BadRequest naming the column that is missing, or that holds a value of another type.

        Args:
            from_text: whether values came as text, as CSV has them.
        """
        places = self._places(asked)
        columns: dict[str, list[Any]] = {}
        for name, type_ in self.columns:
            place = places.get(name)
            values = [None if place is None else row[place] for row in asked.rows]
            values = [_parsed(type_, each) for each in values] if from_text else values
            columns[name] = _column(name, type_, values, is_optional=name in self._optional)
        return columns

    def _places(self, asked: Asked) -> dict[str, int]:
        names = self.names if asked.names is None else asked.names
        places = {name: place for place, name in enumerate(names)}
        if len(places) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise BadRequest(f"these columns are given twice: {', '.join(twice)}")
        missing = [name for name in self.names if name not in places and name not in self._optional]
        if missing:
            extra = [name for name in places if name not in self.names]
            hint = f"; these are not among the model's: {', '.join(extra[:20])}" if extra else ""
            raise BadRequest(f"these columns are missing: {', '.join(missing)}{hint}")
        return places

    def framed(self, columns: dict[str, list[Any]]) -> Any:
        """The same as a data frame, or as an array where there is no pandas."""
        numpy = need("numpy")
        if not self._has_pandas:
            arrays = [numpy.asarray(values) for values in columns.values()]
            return numpy.column_stack(arrays) if arrays else numpy.empty((0, 0))
        pandas = need("pandas")
        made = {}
        for name, type_ in self.columns:
            dtype = _dtype(type_, columns[name])
            array = numpy.asarray(columns[name], dtype=dtype)
            made[name] = pandas.Series(array, dtype="str") if type_ == "string" else array
        return pandas.DataFrame(made, copy=False)


def _dtype(type_: str, values: list[Any]) -> str:
    """The type of a column; booleans of which some are missing are objects, as the training's pandas has them."""
    return "object" if type_ == "boolean" and None in values else TYPES[type_][2]


def _column(name: str, type_: str, values: list[Any], *, is_optional: bool = False) -> list[Any]:
    read, words, _ = TYPES[type_]
    words += " or null" * (is_optional and "null" not in words)
    found = []
    for number, value in enumerate(values):
        try:
            if isinstance(value, NotJSON):
                raise ValueError
            found.append(None if value is None and is_optional else read(value))
        except (ValueError, OverflowError):
            hint = "; JSON has no such number, send null for a missing value" if isinstance(value, NotJSON) else ""
            message = f"column {name!r}, row {number}: {repr(value)[:SHOWN]} is not {words}{hint}"
            raise BadRequest(message) from None
    return found


def _parsed(type_: str, text: str | None) -> Any:
    """A value of CSV, as JSON would have it; text stays text where it is none, to be refused with its column."""
    if text is None or type_ in ("string", "datetime"):
        return text
    if type_ == "boolean":
        return WORDS.get(text.strip().lower(), text)
    try:
        return int(text) if type_ in ("long", "integer") else float(text)
    except ValueError:
        return text
