"""How often each value of each feature stands in some rows, counted on the cluster: all that drift is measured by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lineage.artifacts import Artifact
from lineage.data import drift, splits, tables
from lineage.data.frames import Member, Plan
from lineage.data.spark import frame, types
from lineage.data.statistics import FLOATS, is_nested, is_number
from lineage.errors import InvalidInput

#: The one file that comes back.
FILE = "counts"
#: Values of all features together, of which the counts are brought to the worker.
LIMIT = 20_000_000


@dataclass(frozen=True, kw_only=True)
class Counting:
    """Values to be counted: what the application is told, and the columns of the file that comes back."""

    definition: Mapping[str, Any]
    columns: Sequence[Mapping[str, str]]


async def counting(
    feature_set: Artifact,
    features: Mapping[str, Artifact],
    datasets: Mapping[str, Artifact],
    columns: Sequence[Mapping[str, str]],
    *,
    where: str | None = None,
) -> Counting:
    """Lay out for Spark the counts by which `drift.measure` knows the rows that meet *where*.

    Args:
        columns: the features that count, each with its name and DuckDB type.

    Raises:
        InvalidInput: a feature is not there, or is not computed or counted by Spark as by DuckDB.
    """

    def lay_out() -> Counting:
        plan, kept = splits.choose(feature_set, features, datasets, where)
        try:
            told = frame.definition(plan, where=kept)
            counted = [_counted(_member(plan, each), place) for place, each in enumerate(columns)]
        except InvalidInput as error:
            if error.field != types.FIELD:
                raise
            raise InvalidInput(f"{error}; the executor process measures this drift", field=types.FIELD) from error
        names = [each["name"] for each in columns]
        counts = {"sql": " UNION ALL ".join(counted), "names": names, "limit": LIMIT}
        told |= {"counts": counts, "slots": list(drift.COUNTS), "splits": [FILE]}
        back = [{"name": name, "type": type_} for name, type_ in drift.COUNTS.items()]
        return Counting(definition=told, columns=back)

    return await tables.in_thread(lay_out)


def _member(plan: Plan, column: Mapping[str, str]) -> Member:
    """The feature of a column, of the type that was learned from, so that like is compared with like."""
    found = next((each for each in plan.features if each.feature.name == column["name"]), None)
    if found is None:
        raise InvalidInput(f"the rows have no column {column['name']!r}", field="predictions")
    if found.type != column["type"]:
        raise types.refused(f"drift of {column['name']!r}", f"it is {found.type}, and was {column['type']} in training")
    return found


def _counted(member: Member, place: int) -> str:
    number, text = ("NULL", "NULL") if is_nested(member.type) else _value(member)
    values = f"SELECT CAST({number} AS DOUBLE) AS num, CAST({text} AS STRING) AS txt FROM frame"
    return f"SELECT {place} AS place, num, txt, count(*) AS n FROM ({values}) GROUP BY num, txt"


def _value(member: Member) -> tuple[str, str]:
    """A value as a number and as a text, of which one is NULL, as `lineage.data.drift` has it."""
    slot, type_ = member.slot, member.type
    if type_ in FLOATS:
        return f"CASE WHEN NOT isnan({slot}) THEN {slot} END", "NULL"
    if is_number(type_):
        return types.cast(slot, type_, "DOUBLE"), "NULL"
    if type_ == "DATE":
        return f"unix_date({slot}) * 86400D", "NULL"
    if type_ in ("TIMESTAMP", types.INSTANT):
        return f"CAST(unix_micros(CAST({slot} AS TIMESTAMP_LTZ)) AS DOUBLE) / 1000000D", "NULL"
    if type_.startswith(drift.TIMES):
        raise types.refused(f"drift of a {type_}")
    return "NULL", types.cast(slot, type_, "VARCHAR")
