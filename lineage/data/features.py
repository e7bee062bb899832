"""Features: SQL expressions over the columns of datasets, with a lineage that is read out of the SQL itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.data import functions, sources
from lineage.data.expressions import Expr, parse_expression, text
from lineage.data.functions import Window
from lineage.data.sources import FEATURES, ColumnRef, Source, sql_of
from lineage.data.statistics import is_nested
from lineage.data.tables import Connection, connect, quote, schema
from lineage.errors import InvalidInput

DERIVED = EdgeType.DERIVED_FROM


@dataclass(frozen=True, kw_only=True)
class FeatureInput:
    """A feature as it is asked for: an expression over a source, for each entity."""

    name: str
    sql: str
    source: str
    entity: Sequence[str]
    namespace: str = "default"
    description: str | None = None
    tags: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Key:
    """One column of the entity key: its name in training sets, what it is read from, its DuckDB type."""

    name: str
    column: ColumnRef
    type: str


def tables(source: str) -> list[str]:
    """The names of the datasets that a FROM clause uses."""
    return sources.names_in(source)


def references(sql: str) -> list[str]:
    """The names of the features that an expression uses as `features.<name>`, in order."""
    return _references(parse_expression(sql))


def _references(node: Expr) -> list[str]:
    found = [each.name for each in node.find_all(exp.Column) if each.table.casefold() == FEATURES]
    return list(dict.fromkeys(found))


def resolve(
    definition: FeatureInput, datasets: Mapping[str, Artifact], features: Mapping[str, Artifact]
) -> tuple[Artifact, list[Edge]]:
    """The feature and the edges to the columns and features that it uses; raise InvalidInput naming what is wrong.

    Every column that the expression, the joins, the conditions of the source and the entity use counts. Columns
    behind another feature are that feature's own. No data is needed, only the schemas of *datasets*.
    """
    source = sources.bind(definition.source, datasets)
    keys = _keys(definition.entity, source)
    parsed, used = source.resolve(parse_expression(definition.sql), field="sql")
    inlined = {name: _member(name, definition.name, source, features) for name in _references(parsed)}
    expression = text(_inline(parsed, inlined))
    type_, window = examine(source, expression, keys)
    if type_ == '"NULL"':
        raise InvalidInput("the expression is always NULL; cast it to a type if that is meant", field="sql")
    used |= source.used | {key.column for key in keys}
    columns = sorted({source.column_id(column) for column in used})
    body = {
        "expression": expression,
        "sql": text(parsed),
        "source": source.text,
        "entity": [key.name for key in keys],
        "keys": [{"name": key.name, "sql": sql_of(key.column), "type": key.type} for key in keys],
        "datasets": {alias: table.dataset.id for alias, table in source.tables.items()},
        "columns": columns,
        "features": [feature.id for feature in inlined.values()],
        "type": type_,
        "window": window.value,
    }
    feature = Artifact.defined(
        ArtifactKind.FEATURE,
        definition.name,
        body,
        namespace=definition.namespace,
        description=definition.description,
        tags=tuple(definition.tags),
    )
    targets = [*columns, *(each.id for each in inlined.values())]
    return feature, [Edge(type=DERIVED, source=feature.id, target=target) for target in targets]


def _keys(entity: Sequence[str], source: Source) -> list[Key]:
    if not entity:
        raise InvalidInput("name the columns that identify a row", field="entity")
    keys: list[Key] = []
    for written in entity:
        node = parse_expression(written, field="entity")
        if not isinstance(node, exp.Column) or node.table.casefold() == FEATURES:
            raise InvalidInput(f"{written!r} is no column; an entity is made of columns", field="entity")
        column = source.column(node.table, node.name, field="entity")
        key = Key(name=column[1], column=column, type=source.type_of(column))
        if is_nested(key.type):
            raise InvalidInput(f"the column {written!r} of type {key.type} cannot identify a row", field="entity")
        if key.name.casefold() in {each.name.casefold() for each in keys}:
            raise InvalidInput(f"the entity has two columns named {key.name!r}", field="entity")
        keys.append(key)
    return keys


def _member(name: str, own: str, source: Source, features: Mapping[str, Artifact]) -> Artifact:
    """The feature that an expression refers to, once it is sure that it means the same over this source."""
    if name not in features:
        raise InvalidInput.unknown("feature", name, sorted(features), field="sql")
    feature = features[name]
    check_defined(feature)
    if name == own:
        raise InvalidInput(f"the feature {name!r} cannot be made of itself; give the new one another name", field="sql")
    theirs, ours = feature.body["source"], source.text
    is_part = theirs == ours or (feature.body["window"] == Window.NONE and _begins(ours, theirs))
    if not is_part:
        raise InvalidInput(f"feature {name!r} is over another source: {theirs}", field="sql")
    for alias, id in feature.body["datasets"].items():
        if source.tables[alias].dataset.id != id:
            dataset = source.tables[alias].dataset
            raise InvalidInput(
                f"feature {name!r} is over another version of {dataset.name!r} than {dataset.version}; define it again",
                field="sql",
            )
    return feature


def _begins(ours: str, theirs: str) -> bool:
    """Whether our source only joins more to theirs, so that what is computed on a row stays the same."""
    return ours.startswith((f"{theirs} JOIN ", f"{theirs} LEFT JOIN ", f"{theirs} WHERE "))


def _inline(node: Expr, features: Mapping[str, Artifact]) -> Expr:
    def replaced(each: Expr) -> Expr:
        if isinstance(each, exp.Column) and each.table.casefold() == FEATURES:
            return exp.Paren(this=parse_expression(features[each.name].body["expression"]))
        return each

    return node.transform(replaced).unnest()


def examine(
    source: Source, expression: str, keys: Sequence[Key] = (), *, field: str = "sql", allow_window: bool = True
) -> tuple[str, Window]:
    """The DuckDB type of an expression over *source* and what it sees; raise InvalidInput when it may not run."""
    select = f"SELECT {expression} AS value FROM {source.text}"
    with connect(field=field) as connection:
        node = functions.tree(connection, select)
        if len(node["select_list"]) != 1:
            raise InvalidInput("one expression is wanted", field=field)
        window = functions.check(connection, node["select_list"][0], field=field, key=[key.column for key in keys])
        for part in ("from_table", "where_clause"):
            _check_source(connection, node[part])
        if window is not Window.NONE and not allow_window:
            raise InvalidInput("a window function has no place here", field=field)
        _make_empty(connection, source)
        return schema(connection, select)[0][1], window


def _check_source(connection: Connection, part: Any) -> None:
    """Judge what a source does by DuckDB's own tree of it: base tables, joins, and conditions that may run."""
    for node in functions.nodes(part):
        if node.get("type") in {"TABLE_FUNCTION", "SUBQUERY", "EXPRESSION_LIST", "PIVOT", "SHOW_REF"}:
            raise InvalidInput("a source names registered datasets, nothing else", field="source")
        if node.get("class") == "WINDOW":
            raise InvalidInput("a window function has no place in a source", field="source")
        if node.get("condition"):
            functions.check(connection, node["condition"], field="source")
    if isinstance(part, Mapping) and "class" in part:
        functions.check(connection, part, field="source")


def _make_empty(connection: Connection, source: Source) -> None:
    for dataset in {table.dataset.name: table.dataset for table in source.tables.values()}.values():
        columns = ", ".join(f"{quote(each['name'])} {each['type']}" for each in dataset.body["columns"])
        connection.execute(f"CREATE TABLE {quote(dataset.name)} ({columns})")


def feature_set(
    name: str,
    features: Sequence[Artifact],
    label: Artifact | None,
    *,
    namespace: str = "default",
    description: str | None = None,
    tags: Sequence[str] = (),
) -> tuple[Artifact, list[Edge]]:
    """The feature set of *features* in this order, with the one to learn; raise InvalidInput when they do not match."""
    if not features:
        raise InvalidInput("a feature set needs at least one feature", field="features")
    if label is not None and label.id in {feature.id for feature in features}:
        raise InvalidInput(
            f"the label {label.name!r} is among the features; it would tell its own answer", field="label"
        )
    members = [*features, *([label] if label else [])]
    for member in members:
        check_defined(member)
    _check_entities(members)
    _check_versions(members)
    _check_columns(members)
    body = {
        "features": [feature.id for feature in features],
        "names": [feature.name for feature in features],
        "label": label.id if label else None,
        "label_name": label.name if label else None,
        "entity": list(members[-1].body["entity"]),
    }
    labels: dict[str, Any] = {"namespace": namespace, "description": description, "tags": tuple(tags)}
    artifact = Artifact.defined(ArtifactKind.FEATURE_SET, name, body, **labels)
    return artifact, [Edge(type=DERIVED, source=artifact.id, target=member.id) for member in members]


def check_defined(feature: Artifact) -> None:
    """Raise InvalidInput when the graph has heard of a feature but does not know its SQL."""
    if not {"expression", "source", "keys", "datasets", "type", "window"} <= set(feature.body):
        raise InvalidInput(f"the feature {feature.name!r} is only known by name; define it", field="features")


def _check_entities(members: Sequence[Artifact]) -> None:
    first = _entity(members[-1])
    for member in members:
        if _entity(member) != first:
            ours, theirs = (", ".join(each.body["entity"]) for each in (members[-1], member))
            raise InvalidInput(
                f"{member.name!r} is for each ({theirs}), {members[-1].name!r} for each ({ours})", field="features"
            )


def _entity(feature: Artifact) -> dict[str, str]:
    return {str(key["name"]): str(key["type"]) for key in feature.body["keys"]}


def _check_versions(members: Sequence[Artifact]) -> None:
    bound: dict[str, tuple[str, str]] = {}
    for member in members:
        for name, id in datasets_of(member).items():
            other, feature = bound.setdefault(name, (id, member.name))
            if other != id:
                both = f"{feature!r} and {member.name!r}"
                raise InvalidInput(
                    f"{both} are over different versions of {name!r}; define one again", field="features"
                )


def datasets_of(feature: Artifact) -> dict[str, str]:
    """The datasets that a feature was resolved against, as name → id."""
    found = {}
    for table, _ in sources.members(feature.body["source"]):
        found[table.name] = str(feature.body["datasets"][(table.alias or table.name).casefold()])
    return found


def _check_columns(members: Sequence[Artifact]) -> None:
    """Entity, features and label stand side by side in one file, so their names must differ, as SQL sees names."""
    seen = {str(name).casefold(): f"the entity's {name!r}" for name in members[-1].body["entity"]}
    for member in members:
        name = member.name.casefold()
        if name in seen:
            raise InvalidInput(f"the feature {member.name!r} has the name of {seen[name]}", field="features")
        seen[name] = f"the feature {member.name!r}"
