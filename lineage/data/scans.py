"""How files are read: a CSV with a dialect and types that are found once and then kept, Parquet as it says itself."""

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineage.data import tables
from lineage.data.tables import Connection, literal, quote
from lineage.errors import InvalidInput

#: What a CSV means by nothing, unless the dataset says otherwise. A column of text that means NA must say so.
NULL_VALUES = ("", "NA")
DELIMITERS = ",\t;|"
HEADER_LIMIT = 1 << 20  # bytes that the first line may have
#: In the order of preference. Integers that are too long for eight bytes must not become floating point numbers.
TYPES = ("NULL", "BOOLEAN", "BIGINT", "HUGEINT", "DOUBLE", "TIME", "DATE", "TIMESTAMP", "TIMESTAMPTZ", "VARCHAR")
SIGNATURES = {b"PK\x03\x04": "a zip archive; unpack it first", b"\x1f\x8b": "compressed; name it .csv.gz"}


def scan(files: Sequence[Path], body: Mapping[str, Any]) -> str:
    """The table function that reads *files* as the body of their dataset says, and never guesses."""
    listed = f"[{', '.join(literal(str(path)) for path in files)}]"
    if body["format"] == "parquet":
        return f"read_parquet({listed}, hive_partitioning=false)"
    columns = ", ".join(f"{literal(each['name'])}: {literal(each['type'])}" for each in body["columns"])
    return f"read_csv({listed}, {_dialect(body)}, auto_detect=false, columns={{{columns}}})"


def _dialect(reading: Mapping[str, Any]) -> str:
    nulls = ", ".join(map(literal, reading["null_values"]))
    return (
        f"header=true, skip=0, delim={literal(reading['delimiter'])}, quote='\"', escape='\"', comment='', "
        f"strict_mode=true, null_padding=false, hive_partitioning=false, nullstr=[{nulls}]"
    )


def find_reading(
    connection: Connection, files: Sequence[Path], format: str, null_values: Sequence[str] | None
) -> dict[str, Any]:
    """What the body of a dataset has to say so that `scan` can read it: format, columns, and a CSV's dialect."""
    if format == "parquet":
        return {"format": "parquet", "columns": _parquet_columns(connection, files)}
    delimiter, names = _headers(files)
    nulls = list(NULL_VALUES if null_values is None else null_values)
    reading = {"format": "csv", "delimiter": delimiter, "null_values": nulls}
    text = {**reading, "columns": [{"name": name, "type": "VARCHAR"} for name in names]}
    # The sniffer explains a broken line badly and this reader well, so it goes first.
    connection.execute(f"SELECT count(*) FROM {scan(files, text)}")
    types = _sniffed(connection, files, reading, names)
    return _confirmed(connection, files, {**reading, "columns": types})


def _sniffed(
    connection: Connection, files: Sequence[Path], reading: Mapping[str, Any], names: Sequence[str]
) -> list[dict[str, str]]:
    listed = ", ".join(literal(str(path)) for path in files)
    types = ", ".join(map(literal, TYPES))
    options = f"{_dialect(reading)}, sample_size=-1, files_to_sniff=-1, auto_type_candidates=[{types}]"
    found = tables.schema(connection, f"SELECT * FROM read_csv([{listed}], {options})")
    return [{"name": name, "type": type_} for name, (_, type_) in zip(names, found, strict=True)]


def _confirmed(connection: Connection, files: Sequence[Path], reading: dict[str, Any]) -> dict[str, Any]:
    """The same with text for columns whose guessed type does not hold everywhere, such as dates of an own format."""
    for _ in reading["columns"]:
        counts = ", ".join(f"count({quote(each['name'])})" for each in reading["columns"])
        try:
            with tables.mapped("uri"):
                connection.execute(f"SELECT {counts} FROM {scan(files, reading)}")
            return reading
        except InvalidInput as error:
            wrong = re.search(r'Error when converting column "(.*)"\. Could not convert', str(error), re.S)
            if not wrong:
                raise
            columns = [{**each, "type": "VARCHAR"} if each["name"] == wrong[1] else each for each in reading["columns"]]
            if columns == reading["columns"]:
                raise
            reading = {**reading, "columns": columns}
    return reading


def _headers(files: Sequence[Path]) -> tuple[str, list[str]]:
    delimiter, names = _header(files[0])
    _check_names(names, files[0])
    for path in files[1:]:
        if _header(path) != (delimiter, names):
            raise InvalidInput(f"the columns of {path.name} differ from those of {files[0].name}", field="uri")
    return delimiter, names


def _header(path: Path) -> tuple[str, list[str]]:
    """The delimiter and the names in the first line of a CSV."""
    text = _beginning(path)
    if not text.strip():
        raise InvalidInput(f"{path.name} is empty", field="uri")
    found = {delimiter: _first_record(text, delimiter, path) for delimiter in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda each: len(found[each]))
    return delimiter, [name.strip() for name in found[delimiter]]


def _first_record(text: str, delimiter: str, path: Path) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
    except csv.Error as error:
        raise InvalidInput(f"{path.name} is not a CSV file: {error} in its first line", field="uri") from error


def _beginning(path: Path) -> str:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            data = stream.read(HEADER_LIMIT)
    except (EOFError, zlib.error, OSError) as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}", field="uri") from error
    for signature, meaning in SIGNATURES.items():
        if data.startswith(signature):
            raise InvalidInput(f"{path.name} is {meaning}", field="uri")
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(data)
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not a CSV file in UTF-8: {error.reason}", field="uri") from error


def _parquet_columns(connection: Connection, files: Sequence[Path]) -> list[dict[str, str]]:
    first: list[tuple[str, str]] = []
    for path in files:
        names = [str(name) for name, depth in _parquet_fields(connection, path) if depth == 1]
        _check_names(names, path)
        found = tables.schema(connection, f"SELECT * FROM read_parquet({literal(str(path))}, hive_partitioning=false)")
        if first and found != first:
            raise InvalidInput(f"the columns of {path.name} differ from those of {files[0].name}", field="uri")
        first = found
    return [{"name": name, "type": type_} for name, type_ in first]


def _parquet_fields(connection: Connection, path: Path) -> list[tuple[str, int]]:
    """The names in a Parquet schema, which is a tree written in preorder, each with its depth."""
    rows = connection.execute(f"SELECT name, num_children FROM parquet_schema({literal(str(path))})").fetchall()
    found: list[tuple[str, int]] = []
    open_nodes: list[int] = []
    for name, children in rows:
        found.append((str(name), len(open_nodes)))
        if open_nodes:
            open_nodes[-1] -= 1
        open_nodes.append(children or 0)
        while open_nodes and open_nodes[-1] == 0:
            open_nodes.pop()
    return found


def _check_names(names: Sequence[str], path: Path) -> None:
    seen: dict[str, str] = {}
    for position, name in enumerate(names, start=1):
        if not name:
            raise InvalidInput(f"{path.name}: column {position} has no name in the first line", field="uri")
        if name.casefold() in seen:
            both = f"{seen[name.casefold()]!r} and {name!r}"
            raise InvalidInput(f"{path.name}: two columns have one name in SQL: {both}", field="uri")
        seen[name.casefold()] = name
