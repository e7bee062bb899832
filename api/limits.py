"""How large a document may be: depth, aliases and fields, counted with fragments spread but each visited once."""

from dataclasses import dataclass
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
    ValidationContext,
    ValidationRule,
)

MAX_DEPTH, MAX_ALIASES, MAX_FIELDS, MAX_TOKENS = 15, 50, 2_000, 5_000
INTROSPECTION = {"__schema", "__type", "__typename"}  # graphql-core limits their depth itself


@dataclass(frozen=True)
class Size:
    """How deep a selection is, and how many aliases and fields it has with all fragments spread."""

    depth: int = 0
    aliases: int = 0
    fields: int = 0

    def __add__(self, other: "Size") -> "Size":
        depth = max(self.depth, other.depth)
        return Size(depth, self.aliases + other.aliases, self.fields + other.fields)


class Limits(ValidationRule):
    """Refuses documents that are too large, before any of them is executed.

    A fragment that is spread many times is measured once, so that fragments within fragments, which double at
    every level, cost no more to refuse than to write.
    """

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._fragments: dict[str, Size] = {}
        self._open: set[str] = set()

    def enter_operation_definition(self, node: OperationDefinitionNode, *_: Any) -> None:
        """Measure one operation."""
        size = self._size(node.selection_set)
        for what, actual, most in (
            ("levels deep", size.depth, MAX_DEPTH),
            ("aliases", size.aliases, MAX_ALIASES),
            ("fields", size.fields, MAX_FIELDS),
        ):
            if actual > most:
                message = f"the query has {min(actual, 10**9)} {what}; the most is {most}"
                self.report_error(GraphQLError(message, node, extensions={"code": "LIMIT_EXCEEDED"}))

    def _size(self, selections: SelectionSetNode | None) -> Size:
        total = Size()
        for node in selections.selections if selections else ():
            if isinstance(node, FieldNode):
                inner = Size() if node.name.value in INTROSPECTION else self._size(node.selection_set)
                total += Size(inner.depth + 1, inner.aliases + (node.alias is not None), inner.fields + 1)
            elif isinstance(node, FragmentSpreadNode):
                total += self._fragment(node.name.value)
            else:
                total += self._size(getattr(node, "selection_set", None))
        return total

    def _fragment(self, name: str) -> Size:
        if name in self._open:  # a circle, which another rule reports
            return Size()
        if name not in self._fragments:
            definition: FragmentDefinitionNode | None = self.context.get_fragment(name)
            self._open.add(name)
            self._fragments[name] = self._size(definition.selection_set) if definition else Size()
            self._open.discard(name)
        return self._fragments[name]
