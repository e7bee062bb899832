"""Large answers as columns: one record holds a list for each field, which travels many times faster than rows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind
from lineage.store.graph import Row

#: A list for each field, all of one length.
Columns = Mapping[str, Sequence[Any]]


def rows(columns: Columns) -> Iterator[Row]:
    """The same, a mapping for each row."""
    names = list(columns)
    return (dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True))


def artifacts(columns: Columns) -> list[Artifact]:
    """The artifacts whose fields the *columns* are; other columns are passed over."""
    return [
        Artifact(
            kind=ArtifactKind(row["kind"]),
            namespace=row["namespace"],
            name=row["name"],
            version=row["version"],
            digest=row["digest"],
            body=json.loads(row["body"] or "{}"),
            description=row["description"],
            tags=tuple(row["tags"] or ()),
            created_at=moment(row["created_at"]),
            created_by=row["created_by"] or "unknown",
            retracted_at=moment(row["retracted_at"]),
            retracted_reason=row["retracted_reason"],
            locations=tuple(row.get("locations") or ()),
            is_placeholder=bool(row["is_placeholder"]),
        )
        for row in rows(columns)
    ]


def edges(found: Row | None) -> list[Row]:
    """The edges of a record of columns: source, target, type, recorded_at, run_id."""
    return [
        {**row, "recorded_at": moment(row["recorded_at"]), "run_id": row["run_id"] or None}
        for row in rows(found["columns"] if found else {})
    ]


def moment(text: str | None) -> datetime | None:
    """An instant as Neo4j's toString writes it."""
    return datetime.fromisoformat(text) if text else None
