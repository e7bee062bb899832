"""One call of a function: its arguments as DuckDB has typed them, and as Spark is given them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lineage.data.functions import Node
from lineage.data.spark.types import cast, refused


class Writer(Protocol):
    """What writes a part of a tree."""

    def type(self, node: Node) -> str:
        """The DuckDB type of a part."""
        ...

    def sql(self, node: Node) -> str:
        """A part in Spark's SQL."""
        ...

    def to(self, node: Node, target: str) -> str:
        """A part as another type."""
        ...


@dataclass(frozen=True, kw_only=True)
class Call:
    """A function or an operator with what it is given."""

    name: str
    #: The DuckDB type of its value.
    type: str
    nodes: Sequence[Any]
    translator: Writer

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def types(self) -> list[str]:
        """The DuckDB types of the arguments."""
        return [self.translator.type(each) for each in self.nodes]

    @property
    def args(self) -> list[str]:
        """The arguments as they are."""
        return [self.translator.sql(each) for each in self.nodes]

    def to(self, position: int, target: str) -> str:
        """An argument as another type."""
        return self.translator.to(self.nodes[position], target)

    def all_to(self, target: str) -> list[str]:
        """All arguments as one type."""
        return [self.translator.to(each, target) for each in self.nodes]

    def texts(self) -> list[str]:
        """All arguments, which must be text."""
        for type_ in self.types:
            if type_ not in {"VARCHAR", '"NULL"'}:
                raise self.refused(f"it is given a {type_} where only text is sure; cast it to VARCHAR")
        return [cast(sql, type_, "VARCHAR") for sql, type_ in zip(self.args, self.types, strict=True)]

    def word(self, position: int) -> str:
        """An argument that must be text in quotes."""
        found = self._literal(position)
        if found is None or found["kind"] != "STRING":
            raise self.refused("its patterns, separators and units must be text in quotes")
        return str(found["text"])

    def count(self, position: int, *, least: int) -> int:
        """An argument that must be an integer as it stands in the SQL."""
        found = self._literal(position)
        if found is None or found["kind"] != "INTEGER" or int(found["text"]) < least:
            raise self.refused(f"its argument {position + 1} must be a number from {least} on as it stands in the SQL")
        return int(found["text"])

    def is_nonzero(self, position: int) -> bool:
        """Whether an argument is a number in the SQL that is not nought."""
        found = self._literal(position)
        return found is not None and found["kind"] in {"INTEGER", "NUMERIC"} and float(found["text"]) != 0

    def refused(self, why: str = "it has no equal in Spark") -> Exception:
        """The error for this call."""
        return refused(f"{self.name}()" if self.name.isidentifier() else f"the operator {self.name}", why)

    def _literal(self, position: int) -> Any:
        node = self.nodes[position] if position < len(self.nodes) else {}
        return node.get("literal") if node.get("class") == "CONSTANT" else None
