"""Truth: labels that came after the predictions, joined with them by the entity key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lineage.artifacts import Artifact
from lineage.data import splits, tables
from lineage.data.statistics import FLOATS
from lineage.data.tables import Connection, literal, quote
from lineage.errors import InvalidInput


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Predictions with their labels: the file, how many rows it has, and for how many there is no label."""

    file: Path
    rows: int
    unmatched: int
    #: Labels that no prediction asks for.
    unused: int
    datasets: Mapping[str, str]


async def labels(
    feature_set: Artifact,
    label: Artifact,
    features: Mapping[str, Artifact],
    datasets: Mapping[str, Artifact],
    *,
    target: Path,
) -> splits.Selected:
    """Write the entity and *label* for every row of its source to *target*, by the SQL that the label is defined by."""
    alone = replace(feature_set, body={**feature_set.body, "features": [], "label": label.id})
    return await splits.select(alone, features, datasets, target=target, with_label=True)


async def match(predictions: Path, known: splits.Selected, *, label: str, target: Path) -> Matched:
    """Write the predictions that have a label now to *target*, with the label as the column *label*.

    Raises:
        InvalidInput: a key stands twice on either side, or no prediction has a label yet.
    """
    return await tables.in_thread(lambda: _match(predictions, known, label, target))


def _match(predictions: Path, known: splits.Selected, label: str, target: Path) -> Matched:
    reads = [predictions, known.file]
    with (
        splits.staged(target.parent) as folder,
        tables.connect(reads=reads, writes=folder, field="label") as connection,
    ):
        for name, path in (("predicted", predictions), ("labelled", known.file)):
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({literal(str(path))})")
        names = [column for column, _ in tables.schema(connection, "SELECT * FROM predicted")]
        missing = [each for each in known.entity if each not in names]
        if missing:
            raise InvalidInput(f"the predictions have no column {missing[0]!r} to find labels by", field="label")
        told = quote(str(known.label))
        types = {each["name"]: each["type"] for each in known.columns}
        finite = f" AND isfinite({told})" if types[str(known.label)] in FLOATS else ""
        connection.execute(f"CREATE VIEW truth AS SELECT * FROM labelled WHERE {told} IS NOT NULL{finite}")
        for name, what in (("predicted", "predictions"), ("truth", "labels")):
            _check_unique(connection, name, what, known.entity)
        kept = ", ".join(f"p.{quote(each)}" for each in names if each != label)
        same = " AND ".join(f"p.{quote(each)} = t.{quote(each)}" for each in known.entity)
        order = ", ".join(f"p.{quote(each)}" for each in known.entity)
        connection.execute(
            f"CREATE VIEW matched AS SELECT {kept}, t.{told} AS {quote(label)} "
            f"FROM predicted p JOIN truth t ON {same} ORDER BY {order}"
        )
        made = literal(str((folder / target.name).resolve()))
        connection.execute(f"COPY matched TO {made} (FORMAT parquet)")
        rows, asked, there = (_count(connection, each) for each in ("matched", "predicted", "truth"))
        if not rows:
            raise InvalidInput(f"none of the {asked} predictions has a label yet", field="predictions")
        splits.publish(folder, target.parent, [target.name])
    return Matched(file=target, rows=rows, unmatched=asked - rows, unused=there - rows, datasets=known.datasets)


def _count(connection: Connection, relation: str) -> int:
    return int(tables.row(connection, f"SELECT count(*) FROM {relation}")[0])


def _check_unique(connection: Connection, relation: str, what: str, entity: Sequence[str]) -> None:
    keys = ", ".join(quote(each) for each in entity)
    there = " AND ".join(f"{quote(each)} IS NOT NULL" for each in entity)
    sql = f"SELECT {keys}, count(*) FROM {relation} WHERE {there} GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1"
    twice = connection.execute(sql).fetchone()
    if twice:
        key = ", ".join(f"{name}={value}" for name, value in zip(entity, twice, strict=False))
        message = f"the {what} have {key} on {twice[-1]} rows, so that nobody knows which label is whose"
        raise InvalidInput(message, field="predictions" if what == "predictions" else "label")
