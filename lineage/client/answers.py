"""What answers are made of: JSON read into frozen dataclasses, and lists of them that turn into data frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pandas

T = TypeVar("T")


class Rows(list[T]):
    """A list of answers; *total* is how many there are on the server, which may be more."""

    def __init__(self, items: list[T], total: int | None = None) -> None:
        super().__init__(items)
        self.total = len(items) if total is None else total

    def to_frame(self) -> pandas.DataFrame:
        """A data frame with a row for each item and a column for each of its fields."""
        import pandas  # slow to import, and needed here alone

        names = [each.name for each in fields(self[0]) if each.repr] if self else []  # type: ignore[arg-type]
        return pandas.DataFrame([{name: getattr(item, name) for name in names} for item in self], columns=names)


def camel(name: str) -> str:
    """The name that GraphQL has for *name*."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of *cls* that *data* has, under their names here; times are read."""
    found: dict[str, Any] = {}
    for each in fields(cls):
        value = data.get(camel(each.name))
        if value is not None:
            found[each.name] = moment(value) if each.name.endswith("_at") else value
    return found


def moment(text: str) -> datetime:
    """An instant as the API writes it."""
    return datetime.fromisoformat(text)


def labels(counts: list[dict[str, Any]], key: str) -> dict[str, int]:
    """A list of counts as a mapping."""
    return {str(each[key]): int(each["count"]) for each in counts}
