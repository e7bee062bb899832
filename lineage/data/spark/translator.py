"""DuckDB's own tree of a SELECT, with the type of every part of it, written down as Spark's SQL.

The tree is the one that DuckDB will run, so that no function can be taken for another; sqlglot writes names and
literals in Spark's spelling. What is not known to give the same values is refused.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lineage.data import functions
from lineage.data import tables as duck
from lineage.data.functions import Node
from lineage.data.spark import scalars, types, windows
from lineage.data.spark.calls import Call
from lineage.data.spark.types import cast, refused
from lineage.data.tables import Connection

COMPARISONS = {
    "COMPARE_EQUAL": "=",
    "COMPARE_NOTEQUAL": "<>",
    "COMPARE_LESSTHAN": "<",
    "COMPARE_GREATERTHAN": ">",
    "COMPARE_LESSTHANOREQUALTO": "<=",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
    "COMPARE_DISTINCT_FROM": "IS DISTINCT FROM",
    "COMPARE_NOT_DISTINCT_FROM": "<=>",
}
#: Kinds of parts that have a value, and thus a type.
VALUES = frozenset(
    ["COLUMN_REF", "CONSTANT", "FUNCTION", "OPERATOR", "CAST", "CASE", "COMPARISON", "CONJUNCTION", "BETWEEN", "WINDOW"]
)
LENGTH_LIMIT = 200_000  # characters of one expression of Spark's; what guards a value repeats it
JOINS = {"INNER": "JOIN", "LEFT": "LEFT JOIN"}


def select(connection: Connection, sql: str, *, tables: Mapping[str, str] | None = None) -> list[str]:
    """The SELECT list of *sql* for Spark, each with the type that DuckDB has, and behind it its FROM and WHERE.

    Args:
        connection: has the tables that *sql* names, empty or not.
        tables: what Spark calls them, where that is something else.

    Raises:
        InvalidInput: for a function, a cast or a type that has no equal in Spark; the message names it.
    """
    root = functions.tree(connection, sql)
    translator = Translator(_types(connection, root), tables or {})
    selected = [translator.sql(each) for each in root["select_list"]]
    if any(len(each) > LENGTH_LIMIT for each in selected):
        raise refused("an expression that is nested as deeply as this", "it grows too long in Spark's SQL")
    source = f"FROM {translator.source(root['from_table'])}"
    if root["where_clause"]:
        source += f" WHERE {translator.sql(root['where_clause'])}"
    return [*selected, source]


def _types(connection: Connection, root: Node) -> dict[int, str]:
    """The DuckDB type of every part, and under the id of a comparison that of what it compares."""
    asked: list[tuple[int, Any]] = []
    for node in _values(root):
        asked.append((id(node), node))
    found = _described(connection, root, [node for _, node in asked])
    known = {key: type_ for (key, _), type_ in zip(asked, found, strict=True)}
    pairs = [(key, sides) for key, sides in _compared(root) if all(types.is_number(known[id(each)]) for each in sides)]
    common = _described(connection, root, [_either(sides) for _, sides in pairs])
    return {**known, **{-key: type_ for (key, _), type_ in zip(pairs, common, strict=True)}}


def _values(root: Node) -> Iterator[Node]:
    for node in functions.nodes([root["select_list"], root["from_table"], root["where_clause"]]):
        if node.get("class") in VALUES:
            yield node


def _compared(root: Node) -> Iterator[tuple[int, list[Node]]]:
    for node in _values(root):
        if node["class"] == "COMPARISON":
            yield id(node), [node["left"], node["right"]]
        elif node["class"] == "BETWEEN":
            yield id(node), [node["input"], node["lower"], node["upper"]]
        elif node["type"] in {"COMPARE_IN", "COMPARE_NOT_IN"}:
            yield id(node), list(node["children"])


def _either(sides: list[Node]) -> Node:
    """What has the type that DuckDB compares *sides* in."""
    return {"class": "OPERATOR", "type": "OPERATOR_COALESCE", "alias": "", "query_location": 0, "children": sides}


def _described(connection: Connection, root: Node, wanted: list[Any]) -> list[str]:
    """The types of expressions over the source of *root*."""
    if not wanted:
        return []
    plain = {**root, "select_list": [{**each, "alias": ""} for each in wanted]}
    tree = {"error": False, "statements": [{"node": plain, "named_param_map": []}]}
    sql = duck.row(connection, "SELECT json_deserialize_sql(?::JSON)", [json.dumps(tree)])[0]
    return [type_ for _, type_ in duck.schema(connection, str(sql))]


class Translator:
    """Writes the parts of one tree; *types* by the identity of a part."""

    def __init__(self, types: Mapping[int, str], tables: Mapping[str, str]) -> None:
        self._types, self._tables = types, tables
        self._writers: Mapping[str, Callable[[Any], str]] = {
            "COLUMN_REF": lambda node: self._column(node),
            "CONSTANT": self._constant,
            "FUNCTION": self._function,
            "OPERATOR": self._operator,
            "CAST": self._cast,
            "CASE": self._case,
            "COMPARISON": lambda node: self._compare(node, node["left"], COMPARISONS[node["type"]], node["right"]),
            "CONJUNCTION": self._conjunction,
            "BETWEEN": self._between,
            "WINDOW": self._window,
        }

    def type(self, node: Node) -> str:
        """The DuckDB type of a part."""
        return self._types[id(node)]

    def sql(self, node: Node) -> str:
        """A part in Spark's SQL, of Spark's type for its own."""
        return self._writers[str(node["class"])](node)

    def source(self, node: Node) -> str:
        """A FROM clause."""
        if node["type"] == "BASE_TABLE":
            name = node["table_name"]
            return f"{types.name(self._tables.get(name, name))} AS {types.name(node['alias'] or name)}"
        if node["type"] != "JOIN" or node["join_type"] not in JOINS:
            raise refused(f"a source with {str(node.get('join_type') or node['type']).lower()}")
        left, right = self.source(node["left"]), self.source(node["right"])
        return f"{left} {JOINS[node['join_type']]} {right} ON {self.sql(node['condition'])}"

    def to(self, node: Node, target: str) -> str:
        """A part as another type."""
        if node["class"] == "CONSTANT" and node["literal"]["kind"] == "STRING" and target in {"DATE", "TIMESTAMP"}:
            return cast(self.sql(node), "VARCHAR", target)
        return cast(self.sql(node), self.type(node), target)

    def _column(self, node: Node) -> str:
        types.of(self.type(node))
        return types.name(*node["column_names"])

    def _constant(self, node: Node) -> str:
        kind, text, type_ = node["literal"]["kind"], node["literal"]["text"], self.type(node)
        if kind == "NULL_LITERAL":
            return "NULL"
        if kind == "BOOLEAN":
            return str(text)
        if kind == "STRING":
            return types.text(text)
        if type_ == "DOUBLE":
            return f"CAST({types.text(text.replace('_', ''))} AS DOUBLE)"
        return f"CAST({types.text(text.replace('_', ''))} AS {types.of(type_)})"

    def _call(self, node: Node) -> Call:
        given = [each["expression"] for each in node["arguments"]]
        return Call(name=str(node["function_name"]).lower(), type=self.type(node), nodes=given, translator=self)

    def _function(self, node: Node) -> str:
        if node["distinct"] or node["filter"] or node["order_bys"]["orders"]:
            raise refused(f"{node['function_name']}() with DISTINCT, FILTER or ORDER BY")
        return scalars.write(self._call(node))

    def _operator(self, node: Node) -> str:
        kind, children = node["type"], node["children"]
        if kind == "OPERATOR_NOT":
            return f"(NOT {self.to(children[0], 'BOOLEAN')})"
        if kind in {"OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"}:
            return f"({self.sql(children[0])} IS {'NOT ' if 'NOT' in kind else ''}NULL)"
        if kind == "OPERATOR_COALESCE":
            return f"coalesce({', '.join(self.to(each, self.type(node)) for each in children)})"
        if kind in {"COMPARE_IN", "COMPARE_NOT_IN"}:
            first, *others = self._alike(node, children)
            return f"({first} {'NOT ' if 'NOT' in kind else ''}IN ({', '.join(others)}))"
        raise refused(f"the operator {kind.lower().replace('_', ' ')}")

    def _cast(self, node: Node) -> str:
        child = node["child"]
        return cast(self.sql(child), self.type(child), self.type(node), is_try=bool(node["try_cast"]))

    def _case(self, node: Node) -> str:
        type_ = self.type(node)
        checks = (
            f"WHEN {self.to(each['when_expr'], 'BOOLEAN')} THEN {self.to(each['then_expr'], type_)}"
            for each in node["case_checks"]
        )
        return f"CASE {' '.join(checks)} ELSE {self.to(node['else_expr'], type_)} END"

    def _conjunction(self, node: Node) -> str:
        word = " AND " if node["type"] == "CONJUNCTION_AND" else " OR "
        return f"({word.join(self.to(each, 'BOOLEAN') for each in node['children'])})"

    def _between(self, node: Node) -> str:
        value, low, high = self._alike(node, [node["input"], node["lower"], node["upper"]])
        return f"({value} >= {low} AND {value} <= {high})"

    def _compare(self, node: Node, left: Node, sign: str, right: Node) -> str:
        a, b = self._alike(node, [left, right])
        return f"({a} {sign} {b})"

    def _alike(self, node: Node, sides: list[Any]) -> list[str]:
        """*sides* in the one type that DuckDB compares them in."""
        found = self._types.get(-id(node)) or self._common(sides)
        return [self.to(each, found) for each in sides]

    def _common(self, sides: list[Any]) -> str:
        """The type in which values that are no numbers are compared; a string in quotes is whatever it must be."""
        plain = {self.type(each) for each in sides if not _is_text(each)} - {'"NULL"'}
        if len(plain) == 2 and plain == {"DATE", "TIMESTAMP"}:
            return "TIMESTAMP"
        if len(plain) > 1:
            raise refused(f"comparing {' with '.join(sorted(plain))}", "cast one to the type of the other")
        return next(iter(plain), "VARCHAR")

    def _window(self, node: Node) -> str:
        given = [each["expression"] for each in node["arguments"]]
        call = Call(name=str(node["function_name"]).lower(), type=self.type(node), nodes=given, translator=self)
        return windows.write(call, node)


def _is_text(node: Node) -> bool:
    return bool(node["class"] == "CONSTANT" and node["literal"]["kind"] == "STRING")
