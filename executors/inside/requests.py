"""What callers of a scoring server send, in MLflow's four shapes of JSON and as CSV, read into rows and columns."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

SHAPES = ("dataframe_split", "dataframe_records", "instances", "inputs")
SPLIT = {"columns", "data", "index"}


class BadRequest(Exception):
    """The caller can mend it; the message says what is wrong and, where one value is to blame, in which column."""


class NotJSON:
    """NaN or an infinity, which some writers put into JSON although it has no word for them."""

    def __init__(self, word: str) -> None:
        self.word = word

    def __repr__(self) -> str:
        return self.word


class Asked:
    """Rows as they came: values by position below *names*, or below none where the caller named no columns."""

    def __init__(self, names: list[str] | None, rows: list[list[Any]], params: dict[str, Any] | None = None) -> None:
        self.names, self.rows, self.params = names, rows, params or {}


def read_json(data: bytes, features: Sequence[str]) -> Asked:
    """Read a body of JSON that has exactly one of SHAPES; *features* are the columns where it names none."""
    try:
        body = json.loads(data, parse_constant=NotJSON)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}") from error
    given = [shape for shape in SHAPES if isinstance(body, dict) and shape in body]
    if len(given) != 1:
        found = f"its keys are {sorted(body)}" if isinstance(body, dict) else f"it is a {_kind(body)}"
        raise BadRequest(f"the body must be a JSON object with exactly one of {', '.join(SHAPES)}; {found}")
    params = body.get("params") or {}
    if not isinstance(params, dict):
        raise BadRequest("params must be a JSON object")
    names, rows = READERS[given[0]](body[given[0]], list(features))
    return Asked(names, rows, params)


def _split(value: Any, features: list[str]) -> tuple[list[str] | None, list[list[Any]]]:
    if not isinstance(value, dict) or "data" not in value or set(value) - SPLIT:
        raise BadRequest("dataframe_split must be an object with data, and with columns and index where there are any")
    names, rows = value.get("columns"), value["data"]
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise BadRequest("columns of dataframe_split must be a list of names")
    return names, _tabled(rows, "data of dataframe_split", len(names or features))


def _records(value: Any, features: list[str]) -> tuple[list[str] | None, list[list[Any]]]:
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise BadRequest("dataframe_records must be a list of objects, one a row")
    return _named(value)


def _named(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    for number, row in enumerate(rows):
        for name in names:
            if name not in row:
                raise BadRequest(f"row {number} lacks the column {name!r}, which other rows have")
    return names, [[row[name] for name in names] for row in rows]


def _instances(value: Any, features: list[str]) -> tuple[list[str] | None, list[list[Any]]]:
    if not isinstance(value, list):
        raise BadRequest(f"instances must be a list of rows, not a {_kind(value)}")
    if value and all(isinstance(row, dict) for row in value):
        return _named(value)
    if not any(isinstance(row, list | dict) for row in value):
        value = [[each] for each in value]  # of a single feature, a row is its value
    return None, _tabled(value, "instances", len(features))


def _inputs(value: Any, features: list[str]) -> tuple[list[str] | None, list[list[Any]]]:
    if isinstance(value, list):
        return _instances(value, features)
    if not isinstance(value, dict):
        raise BadRequest(f"inputs must be an object of columns or a list of rows, not a {_kind(value)}")
    columns = {name: each if isinstance(each, list) else [each] for name, each in value.items()}
    lengths = {name: len(each) for name, each in columns.items()}
    for name, length in lengths.items():
        if length != next(iter(lengths.values())):
            raise BadRequest(f"column {name!r} of inputs has {length} values, others have another number")
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


READERS = {"dataframe_split": _split, "dataframe_records": _records, "instances": _instances, "inputs": _inputs}


def _tabled(rows: Any, what: str, width: int) -> list[list[Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadRequest(f"{what} must be a list of rows, each a list of values")
    for number, row in enumerate(rows):
        if len(row) != width:
            raise BadRequest(f"row {number} of {what} has {len(row)} values for {width} columns")
    return rows


def _kind(value: Any) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", type(None): "null", NotJSON: "number"}
    return names.get(type(value), "number")


def read_csv(data: bytes) -> Asked:
    """Read CSV with a header; an empty field is a missing value."""
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(f"the body is not CSV in UTF-8: {error}") from error
    if not rows:
        raise BadRequest("the body has no header")
    names, filled = rows[0], [row for row in rows[1:] if row]
    return Asked(names, [[each or None for each in row] for row in _tabled(filled, "the CSV", len(names))])
