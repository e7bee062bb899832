"""A FROM clause over datasets, and what the names in it and over it mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from sqlglot import exp

from lineage.artifacts import Artifact, artifact_id
from lineage.artifacts import ArtifactKind as K
from lineage.data.expressions import Expr, parse_expression, parse_from, text
from lineage.errors import InvalidInput

FEATURES = "features"  # the table name by which an expression refers to other features
ColumnRef = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A dataset as a source names it; *columns* by their names in lower case."""

    alias: str
    dataset: Artifact
    columns: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, alias: str, dataset: Artifact) -> "Table":
        """The dataset under an alias; raise InvalidInput when the graph has only heard of it."""
        if not dataset.body.get("columns"):
            raise InvalidInput(f"the dataset {dataset.name!r} is only known by name; register it", field="source")
        columns = {str(each["name"]).casefold(): each for each in dataset.body["columns"]}
        return cls(alias=alias, dataset=dataset, columns=columns)

    @property
    def names(self) -> list[str]:
        """The columns as the dataset spells them."""
        return [str(each["name"]) for each in self.columns.values()]


@dataclass(kw_only=True)
class Source:
    """A parsed FROM clause: its tables in order, the columns that its joins and conditions use, one spelling of it."""

    tables: dict[str, Table] = field(default_factory=dict)
    used: set[ColumnRef] = field(default_factory=set)
    #: Columns that USING has merged, each with the table that it is read from.
    merged: dict[str, str] = field(default_factory=dict)
    joins: list[str] = field(default_factory=list)
    where: str | None = None

    @property
    def text(self) -> str:
        """The one spelling of the clause."""
        return " ".join(self.joins) + (f" WHERE {self.where}" if self.where else "")

    def resolve(self, node: Expr, *, field: str) -> tuple[Expr, set[ColumnRef]]:
        """*node* with every column in full and as its dataset spells it, and those columns."""
        used: set[ColumnRef] = set()

        def full(each: Expr) -> Expr:
            if not isinstance(each, exp.Column):
                return each
            if each.args.get("db") or each.args.get("catalog"):
                raise InvalidInput(f"{each.sql()!r}: a column is written table.column", field=field)
            alias, name = FEATURES, each.name
            if each.table.casefold() != FEATURES:
                alias, name = self.column(each.table, each.name, field=field)
                used.add((alias, name))
            return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(alias, quoted=True))

        return node.transform(full), used

    def column(self, table: str, name: str, *, field: str) -> ColumnRef:
        """The alias and the column that a name means; raise InvalidInput when it means none, or several."""
        if table:
            found = self.tables.get(table.casefold())
            if found is None:
                raise InvalidInput.unknown("table", table, self.known_tables(), field=field)
            if name.casefold() not in found.columns:
                near = get_close_matches(name, found.names, n=3, cutoff=0.5)
                raise InvalidInput(f"unknown column {name!r} in {table!r}", field=field, nearest=near)
            return found.alias, str(found.columns[name.casefold()]["name"])
        owners = self._owners(name.casefold())
        if not owners:
            known = sorted({each for found in self.tables.values() for each in found.names})
            raise InvalidInput.unknown("column", name, known, field=field)
        if len(owners) > 1:
            candidates = [f"{owner}.{name}" for owner in owners]
            raise InvalidInput(f"the column {name!r} is ambiguous", field=field, nearest=candidates)
        return owners[0], str(self.tables[owners[0]].columns[name.casefold()]["name"])

    def _owners(self, name: str) -> list[str]:
        if name in self.merged:
            return [self.merged[name]]
        return [alias for alias, table in self.tables.items() if name in table.columns]

    def known_tables(self) -> list[str]:
        """The aliases, and the name for other features."""
        return [*self.tables, FEATURES]

    def type_of(self, column: ColumnRef) -> str:
        """The DuckDB type of a resolved column."""
        return str(self.tables[column[0]].columns[column[1].casefold()]["type"])

    def column_id(self, column: ColumnRef) -> str:
        """The id of the Column artifact behind a resolved column."""
        dataset = self.tables[column[0]].dataset
        return artifact_id(K.COLUMN, dataset.namespace, f"{dataset.name}.{column[1]}", dataset.version)


def names_in(source: str) -> list[str]:
    """The names of the datasets that a FROM clause uses, in order, each once; raise InvalidInput when it is none."""
    select = parse_from(source)
    return list(dict.fromkeys(_table_name(table)[1] for table, _ in _members(select)))


def bind(source: str, datasets: Mapping[str, Artifact]) -> Source:
    """Parse a FROM clause and resolve every name in it against *datasets*; raise InvalidInput naming what does not."""
    select = parse_from(source)
    bound = Source()
    for table, join in _members(select):
        alias, name = _table_name(table)
        if name not in datasets:
            raise InvalidInput.unknown("dataset", name, sorted(datasets), field="source")
        _check_alias(bound, alias, name, datasets)
        added = Table.of(alias, datasets[name])
        earlier = list(bound.tables)
        bound.tables[alias] = added
        written = f"{_quoted(name)} AS {_quoted(alias)}"
        bound.joins.append(f"FROM {written}" if join is None else _join(bound, join, written, added, earlier))
    bound.joins[0] = bound.joins[0].removeprefix("FROM ")
    where = select.args.get("where")
    if where is not None:
        bound.where = _condition(bound, where.this)
    return bound


def members(source: str) -> list[tuple[Expr, exp.Join | None]]:
    """The tables of a FROM clause in order, each but the first with its join."""
    return _members(parse_from(source))


def _members(select: exp.Select) -> list[tuple[Expr, exp.Join | None]]:
    joins: Sequence[exp.Join] = select.args.get("joins") or []
    return [(select.args["from_"].this, None), *((join.this, join) for join in joins)]


def _table_name(table: Expr) -> tuple[str, str]:
    """The alias and the dataset of one member of a FROM clause."""
    is_plain = isinstance(table, exp.Table) and isinstance(table.this, exp.Identifier)
    if not is_plain or any(value for name, value in table.args.items() if name not in {"this", "alias"}):
        raise InvalidInput(
            f"{table.sql(dialect='duckdb')[:80]!r} is no dataset; a source names registered datasets", field="source"
        )
    alias = table.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        raise InvalidInput("an alias may not rename columns", field="source")
    return (table.alias or table.name).casefold(), table.name


def _check_alias(bound: Source, alias: str, name: str, datasets: Mapping[str, Artifact]) -> None:
    if alias == FEATURES:
        raise InvalidInput("'features' stands for other features; give the dataset another alias", field="source")
    if alias in bound.tables:
        raise InvalidInput(f"the name {alias!r} stands twice; give one an alias with AS", field="source")
    for table in bound.tables.values():
        other = table.dataset.name
        if other != name and other.casefold() == name.casefold():
            raise InvalidInput(f"{other!r} and {name!r} are one name in SQL", field="source")


def _join(bound: Source, join: exp.Join, written: str, added: Table, earlier: Sequence[str]) -> str:
    side, kind, method = (str(join.args.get(name) or "").upper() for name in ("side", "kind", "method"))
    if side not in {"", "LEFT"} or kind not in {"", "INNER", "OUTER"} or method:
        raise InvalidInput(f"a {method or side or kind} JOIN is not supported; use JOIN or LEFT JOIN", field="source")
    if join.args.get("using"):
        condition = _using(bound, [each.name for each in join.args["using"]], added, earlier)
    elif join.args.get("on") is not None:
        condition = _condition(bound, join.args["on"])
    else:
        raise InvalidInput(f"the join of {added.alias!r} needs ON or USING", field="source")
    return f"{'LEFT ' if side else ''}JOIN {written} ON {condition}"


def _condition(bound: Source, node: Expr) -> str:
    parse_expression(text(node, field="source"), field="source")
    if any(column.table.casefold() == FEATURES for column in node.find_all(exp.Column)):
        raise InvalidInput("a source cannot refer to features", field="source")
    resolved, used = bound.resolve(node, field="source")
    bound.used |= used
    return text(resolved, field="source")


def _using(bound: Source, names: Sequence[str], added: Table, earlier: Sequence[str]) -> str:
    conditions = []
    for name in names:
        owners = [alias for alias in earlier if name.casefold() in bound.tables[alias].columns]
        owners = [bound.merged[name.casefold()]] if name.casefold() in bound.merged else owners
        if len(owners) != 1:
            problem = "is ambiguous" if owners else "is in no dataset before it"
            raise InvalidInput(f"USING ({name}): the column {problem}", field="source")
        left = bound.column(owners[0], name, field="source")
        right = bound.column(added.alias, name, field="source")
        bound.merged[name.casefold()] = owners[0]
        bound.used |= {left, right}
        conditions.append(f"{sql_of(left)} = {sql_of(right)}")
    return " AND ".join(conditions)


def sql_of(column: ColumnRef) -> str:
    """A resolved column as SQL."""
    return f"{_quoted(column[0])}.{_quoted(column[1])}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
