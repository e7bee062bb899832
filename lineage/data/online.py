"""Features of rows that a caller sends: by the very SQL of training, the other tables as they are registered."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lineage.artifacts import Artifact
from lineage.data import frames, locations, sources, tables
from lineage.data.frames import Plan
from lineage.data.functions import Window
from lineage.errors import InvalidInput

NUMBER = "lineage_row"  # the column that keeps rows in their order
NULL = "\\N"


@dataclass(frozen=True, kw_only=True)
class Computed:
    """Values of features, a row for each row that was sent, in the same order."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


async def compute(
    feature_set: Artifact,
    features: Mapping[str, Artifact] | Sequence[Artifact],
    datasets: Mapping[str, Artifact],
    rows: Sequence[Mapping[str, Any]],
) -> Computed:
    """Compute the features of *rows* of the base dataset, the one whose rows training has.

    Raises:
        InvalidInput: a row lacks a column that the features use, or has a value of another type; a feature sees more
            than one row, so that it cannot be computed from those that were sent; a join multiplies rows.
    """
    return await tables.in_thread(lambda: _compute(feature_set, features, datasets, rows))


def _compute(
    feature_set: Artifact,
    features: Mapping[str, Artifact] | Sequence[Artifact],
    datasets: Mapping[str, Artifact],
    rows: Sequence[Mapping[str, Any]],
) -> Computed:
    planned = frames.plan(feature_set, features, datasets, with_label="NO")
    table = sources.members(planned.parts[0].source)[0][0]
    name, alias = str(table.name), str(table.alias or table.name)
    _check(planned, name, rows)
    with TemporaryDirectory(prefix="lineage-") as folder:
        sent = _dataset(datasets[name], rows, Path(folder) / "rows.csv")
        plan = replace(planned, datasets={**planned.datasets, name: sent})
        number = frames.condition(plan, f"{tables.quote(alias)}.{NUMBER}", field="rows")[0]
        with frames.opened(plan, writes=Path(folder)) as connection, tables.mapped("rows"):
            found = frames.build(connection, plan, extra=number)
            if found != len(rows):
                raise InvalidInput(f"{len(rows)} rows became {found} by the joins of the features", field="rows")
            slots = ", ".join(member.slot for member in plan.features)
            values = connection.execute(f"SELECT {slots} FROM made.frame ORDER BY extra").fetchall()
    names = [member.feature.name for member in plan.features]
    return Computed(columns=names, rows=[[_plain(value) for value in row] for row in values])


def _check(plan: Plan, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    needed = set[str]()
    for part in plan.parts:
        if name not in sources.names_in(part.source):
            continue
        for member in part.members:
            if member.feature.body["window"] != Window.NONE.value:
                message = (
                    f"the feature {member.feature.name!r} sees more than one row of {name!r}: send features instead"
                )
                raise InvalidInput(message, field="rows")
            needed |= _columns(member.feature, name)
    known = {str(each["name"]).casefold() for each in plan.datasets[name].body["columns"]}
    for number, row in enumerate(rows):
        given = {str(column).casefold() for column in row}
        for column in sorted(needed - given):
            raise InvalidInput(f"row {number} lacks the column {column!r} of {name!r}", field="rows")
        for column in sorted(given - known):
            raise InvalidInput.unknown(f"column in row {number}", column, sorted(known), field="rows")


def _columns(feature: Artifact, name: str) -> set[str]:
    """The columns of the dataset *name* that a feature uses, in lower case."""
    aliases = {
        str(table.alias or table.name).casefold()
        for table, _ in sources.members(feature.body["source"])
        if table.name == name
    }
    return {column.casefold() for alias, column in frames.columns_of(feature) if alias.casefold() in aliases}


def _dataset(base: Artifact, rows: Sequence[Mapping[str, Any]], path: Path) -> Artifact:
    """The rows as a version of *base*, with its types; no version that anybody records."""
    names = [str(each["name"]) for each in base.body["columns"]]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow([*names, NUMBER])
        for number, row in enumerate(rows):
            given = {str(column).casefold(): value for column, value in row.items()}
            writer.writerow([*(_text(given.get(name.casefold()), name, number) for name in names), number])
    sha256, size = locations.digest(path)
    body = {
        **base.body,
        "uri": str(path),
        "format": "csv",
        "delimiter": ",",
        "null_values": [*(base.body.get("null_values") or ()), NULL],
        "files": [{"path": path.name, "sha256": sha256, "bytes": size}],
        "columns": [*base.body["columns"], {"name": NUMBER, "type": "BIGINT"}],
    }
    return replace(base, digest=sha256, body=body)


def _text(value: Any, name: str, number: int) -> str:
    if value is None:
        return NULL
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise InvalidInput(f"column {name!r}, row {number}: {value!r} is not a plain value", field="rows")


def _plain(value: Any) -> Any:
    """*value* as JSON knows it."""
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
