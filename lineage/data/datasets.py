"""Datasets where they lie: schema, row count, statistics and the digest of the bytes, streamed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineage.artifacts import VERSION_LENGTH, Artifact, ArtifactKind, Edge, EdgeType, digest_of
from lineage.data import locations, scans, statistics, tables
from lineage.data.tables import quote
from lineage.errors import InvalidInput

#: Hears the fraction done, from 0 to 1, and a word on what is being done; called from a worker thread.
Progress = Callable[[float, str], None]
HEAD_LIMIT = 1000  # rows that one look at a dataset may show


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A dataset as it was read, with its columns and the edges between them."""

    dataset: Artifact
    columns: Sequence[Artifact]
    edges: Sequence[Edge]
    #: Where it was found this time.
    place: str


async def profile(
    uri: str,
    *,
    name: str,
    namespace: str = "default",
    format: str | None = None,
    null_values: Sequence[str] | None = None,
    description: str | None = None,
    tags: Sequence[str] = (),
    progress: Progress | None = None,
) -> Profile:
    """Read the dataset at *uri* and describe it; raise NotFound or InvalidInput when it cannot be read.

    Args:
        uri: a path, file://, s3://, hdfs:// … of a CSV or Parquet file, of a folder of them, or a pattern.
        null_values: what a CSV writes for a missing value; by default nothing, and NA. They are kept in the body.
    """
    tell = progress or (lambda done, word: None)
    labels = {"namespace": namespace, "description": description, "tags": tuple(tags)}
    return await tables.in_thread(lambda: _profile(uri, name, format, null_values, labels, tell))


def _profile(
    uri: str,
    name: str,
    format: str | None,
    null_values: Sequence[str] | None,
    labels: Mapping[str, Any],
    tell: Progress,
) -> Profile:
    with locations.located(uri) as location, locations.unchanged(location.files, name):
        format = _format(format, location.files)
        tell(0.0, "digest")
        listing = locations.listing(location, lambda done, total: tell(0.4 * (done / max(total, 1)), "digest"))
        tell(0.4, "schema")
        reading, row_count, found = _read(location.files, format, null_values, tell)
    sizes = {"row_count": row_count, "byte_count": sum(each["bytes"] for each in listing)}
    body = {"uri": location.uri, **reading, **sizes, "files": listing}
    digest = locations.digest_of_listing(listing)
    dataset = Artifact(
        kind=ArtifactKind.DATASET, name=name, digest=digest, version=_version(digest, reading), body=body, **labels
    )
    columns = [
        _column(dataset, position, column, measured)
        for position, (column, measured) in enumerate(zip(reading["columns"], found, strict=True))
    ]
    place = locations.place(location, listing)
    edges = [Edge(type=EdgeType.DERIVED_FROM, source=column.id, target=dataset.id) for column in columns]
    tell(1.0, "done")
    return Profile(dataset=dataset, columns=columns, edges=edges, place=place)


def _version(digest: str, reading: Mapping[str, Any]) -> str:
    """That of the bytes; read with other words for what is missing, the same bytes are another version."""
    nulls = reading.get("null_values")
    if nulls is None or sorted(nulls) == sorted(scans.NULL_VALUES):
        return digest[:VERSION_LENGTH]
    return digest_of([digest, sorted(nulls)])[:VERSION_LENGTH]


def _read(
    files: Sequence[Path], format: str, null_values: Sequence[str] | None, tell: Progress
) -> tuple[dict[str, Any], int, list[dict[str, Any]]]:
    paths = [path.resolve() for path in files]
    with tables.connect(reads=paths) as connection:
        reading = scans.find_reading(connection, paths, format, null_values)
        tell(0.6, "statistics")
        rows, found = statistics.describe(connection, scans.scan(paths, reading), reading["columns"])
    if rows == 0:
        raise InvalidInput(f"{files[0].name} has no rows", field="uri")
    columns = [
        {**column, "is_empty": True} if measured["null_count"] == rows else column
        for column, measured in zip(reading["columns"], found, strict=True)
    ]
    return {**reading, "columns": columns}, rows, found


def _column(dataset: Artifact, position: int, column: Mapping[str, str], measured: Mapping[str, Any]) -> Artifact:
    # Some statistics are estimates, so they are no part of what makes a column itself.
    identity = {"dataset": dataset.id, "column": column["name"], "position": position, "type": column["type"]}
    return Artifact(
        kind=ArtifactKind.COLUMN,
        name=f"{dataset.name}.{column['name']}",
        namespace=dataset.namespace,
        version=dataset.version,
        digest=digest_of(identity),
        body={**identity, "statistics": dict(measured)},
    )


def _format(format: str | None, files: Sequence[Path]) -> str:
    known = sorted(set(locations.FORMATS.values()))
    if format is not None:
        if format.lower() not in known:
            raise InvalidInput.unknown("format", format, known, field="format")
        return format.lower()
    found = {locations.format_of(path.name) for path in files}
    if len(found) > 1:
        raise InvalidInput("CSV and Parquet files do not go together in one dataset", field="uri")
    chosen = found.pop()
    if chosen is None:
        hint = "; unpack it first" if files[0].suffix.lower() == ".zip" else "; say format csv or parquet"
        raise InvalidInput(f"cannot tell the format of {files[0].name!r}{hint}", field="format")
    return chosen


async def verify(dataset: Artifact) -> None:
    """Read the dataset's bytes again; raise DigestMismatch when they changed, NotFound when a file is gone."""

    def check() -> None:
        with locations.opened(dataset):
            pass

    await tables.in_thread(check)


async def read_head(dataset: Artifact, n: int = 10) -> list[dict[str, Any]]:
    """The first *n* rows of a registered dataset, as JSON knows values; its bytes are verified first."""
    if not 1 <= n <= HEAD_LIMIT:
        raise InvalidInput(f"a look at a dataset shows 1 to {HEAD_LIMIT} rows, not {n}", field="n")
    return await tables.in_thread(lambda: _head(dataset, n))


def _head(dataset: Artifact, n: int) -> list[dict[str, Any]]:
    columns = dataset.body["columns"]
    shown = ", ".join(
        quote(each["name"]) if statistics.is_number(each["type"]) else f"{quote(each['name'])}::VARCHAR"
        for each in columns
    )
    with locations.opened(dataset) as files, tables.connect(reads=files) as connection:
        rows = connection.execute(f"SELECT {shown} FROM {scans.scan(files, dataset.body)} LIMIT {n}").fetchall()
    names = [each["name"] for each in columns]
    return [dict(zip(names, map(statistics.plain, row), strict=True)) for row in rows]
