"""Frames: the rows of a feature set, computed by DuckDB from the datasets that it stands on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlglot import exp

from lineage.artifacts import Artifact
from lineage.data import functions, locations, scans, sources, tables
from lineage.data.expressions import parse_expression, parse_from, text
from lineage.data.features import check_defined, examine
from lineage.data.functions import Window
from lineage.data.tables import Connection, quote
from lineage.errors import InvalidInput

#: Whether a frame has the label; IF_THERE leaves it out where the datasets lack what it needs.
Wanted = Literal["YES", "IF_THERE", "NO"]
ROW_GROUP = 122_880  # rows; fixed, as it is part of the bytes that are written
EXAMPLES = 3  # keys that an error shows


@dataclass(frozen=True, kw_only=True)
class Member:
    """A feature or the label within a frame; *slot* is its column in DuckDB, which no user's name can meet."""

    feature: Artifact
    slot: str

    @property
    def type(self) -> str:
        """The type in the frame."""
        return frame_type(str(self.feature.body["type"]))


@dataclass(kw_only=True)
class Part:
    """The members that are read from one source for one key, by one SELECT."""

    source: str
    keys: Sequence[Mapping[str, str]]
    members: list[Member] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a frame is made: *parts* are joined on the entity to the first of them, the base, which has the rows."""

    feature_set: Artifact
    datasets: Mapping[str, Artifact]
    parts: Sequence[Part]
    features: Sequence[Member]
    label: Member | None

    @property
    def entity(self) -> list[Mapping[str, str]]:
        """The columns of the entity key, in the order of the feature set."""
        keys = {key["name"].casefold(): key for key in self.parts[0].keys}
        return [keys[str(name).casefold()] for name in self.feature_set.body["entity"]]

    @property
    def columns(self) -> list[dict[str, str]]:
        """The columns of the file in order: entity, features, label."""
        members = [*self.features, *([self.label] if self.label else [])]
        entity = [{"name": key["name"], "type": key_type(key["type"])} for key in self.entity]
        return entity + [{"name": member.feature.name, "type": member.type} for member in members]

    @property
    def slots(self) -> list[str]:
        """The columns of the frame's table in DuckDB, in the same order."""
        slots = [f"e{position}" for position in range(len(self.entity))]
        return slots + [member.slot for member in self.features] + ([self.label.slot] if self.label else [])

    @property
    def windows(self) -> set[str]:
        """What its members see beside their own rows."""
        return {str(member.feature.body["window"]) for part in self.parts for member in part.members}

    @property
    def files(self) -> str:
        """The SELECT list that gives the slots the names that they have in files."""
        pairs = zip(self.slots, self.columns, strict=True)
        return ", ".join(f"{slot} AS {quote(column['name'])}" for slot, column in pairs)


def frame_type(type_: str) -> str:
    """The type that a feature of *type_* has in a frame: what learners cannot take as a number becomes a DOUBLE."""
    return "DOUBLE" if type_.startswith("DECIMAL") or type_ in {"HUGEINT", "UHUGEINT"} else type_


def key_type(type_: str) -> str:
    """The type that a key of *type_* has in a frame: an integer that Parquet cannot hold becomes text."""
    return "VARCHAR" if type_ in {"HUGEINT", "UHUGEINT"} else type_


def plan(
    feature_set: Artifact,
    features: Mapping[str, Artifact] | Sequence[Artifact],
    datasets: Mapping[str, Artifact],
    *,
    with_label: Wanted = "YES",
) -> Plan:
    """Lay out the frame of *feature_set* over *datasets*, by name; they may be newer than those it was defined over.

    The rows are those of the label's source, or of the first feature's where the label cannot be had.

    Raises:
        InvalidInput: a dataset is not given, or lacks a column; the message names it.
    """
    known = {each.id: each for each in (features.values() if isinstance(features, Mapping) else features)}
    body = feature_set.body
    members = [Member(feature=_known(known, id), slot=f"f{n}") for n, id in enumerate(body["features"])]
    label = Member(feature=_known(known, body["label"]), slot="y") if body["label"] else None
    if label is not None and with_label != "YES" and lacking(label.feature, datasets):
        label = None
    parts: dict[tuple[str, ...], Part] = {}
    for member in [*([label] if label else []), *members]:
        _check_schema(member.feature, datasets)
        source, keys = member.feature.body["source"], member.feature.body["keys"]
        identity = (source, *sorted(f"{key['name'].casefold()}={key['sql']}" for key in keys))
        part = parts.setdefault(identity, Part(source=source, keys=keys))
        if member is not label or with_label != "NO":
            part.members.append(member)
    used = {name for part in parts.values() for name in sources.names_in(part.source)}
    return Plan(
        feature_set=feature_set,
        datasets={name: datasets[name] for name in sorted(used)},
        parts=list(parts.values()),
        features=members,
        label=label if with_label != "NO" else None,
    )


def _known(features: Mapping[str, Artifact], id: str) -> Artifact:
    if id not in features:
        raise InvalidInput(f"the feature {id!r} of the feature set is not given", field="features")
    check_defined(features[id])
    return features[id]


def lacking(feature: Artifact, datasets: Mapping[str, Artifact]) -> list[tuple[str, str | None]]:
    """What a feature needs and *datasets* lack: datasets by name, and columns of those that are there."""
    names = {(table.alias or table.name).casefold(): table.name for table, _ in sources.members(feature.body["source"])}
    missing: list[tuple[str, str | None]] = [(name, None) for name in sorted(set(names.values()) - set(datasets))]
    for alias, column in sorted(set(columns_of(feature))):
        name = names[alias]
        if name in datasets and column.casefold() not in sources.Table.of(alias, datasets[name]).columns:
            missing.append((name, column))
    return missing


def columns_of(feature: Artifact) -> Iterator[tuple[str, str]]:
    """What a feature uses: the alias of each table, and the name of the column."""
    body = feature.body
    trees: list[exp.Expr] = [parse_expression(each) for each in (body["expression"], *(k["sql"] for k in body["keys"]))]
    trees.append(parse_from(body["source"]))
    for tree in trees:
        for column in tree.find_all(exp.Column):
            yield column.table, column.name


def _check_schema(feature: Artifact, datasets: Mapping[str, Artifact]) -> None:
    for name, column in lacking(feature, datasets):
        if column is None:
            raise InvalidInput(f"the feature {feature.name!r} needs the dataset {name!r}; give it", field="datasets")
        version = datasets[name].version
        raise InvalidInput(
            f"the feature {feature.name!r} needs the column {column!r}, which version {version} of {name!r} lacks",
            field="datasets",
        )


def condition(plan: Plan, sql: str, *, field: str) -> tuple[str, str]:
    """An expression over the base's source, such as *where*: its full spelling and its DuckDB type."""
    source = sources.bind(plan.parts[0].source, plan.datasets)
    resolved, _ = source.resolve(parse_expression(sql, field=field), field=field)
    if any(column.table == sources.FEATURES for column in resolved.find_all(exp.Column)):
        raise InvalidInput("name columns here, not features", field=field)
    full = text(resolved, field=field)
    return full, examine(source, full, field=field, allow_window=False)[0]


@contextmanager
def opened(plan: Plan, *, writes: Path) -> Iterator[Connection]:
    """A connection that has the plan's datasets as views, each verified before and unchanged after."""
    with ExitStack() as stack:
        files = {name: stack.enter_context(locations.opened(each)) for name, each in plan.datasets.items()}
        # What windows add up depends on the order of rows in the last digit, and threads change that order.
        threads = tables.THREADS if plan.windows <= {Window.NONE.value} else 1
        reads = [path for each in files.values() for path in each]
        with tables.connect(reads=reads, writes=writes, field="features", threads=threads) as connection:
            connection.execute("CREATE SCHEMA made")  # apart from the datasets, which may have any name
            for name, dataset in plan.datasets.items():
                scan = scans.scan(files[name], dataset.body)
                connection.execute(f"CREATE VIEW {quote(name)} AS SELECT {_columns(dataset)} FROM {scan}")
            yield connection


def _columns(dataset: Artifact) -> str:
    """All columns; one without a value in a CSV has no type of its own and must fit wherever it is used."""
    empty = [quote(each["name"]) for each in dataset.body["columns"] if each.get("is_empty")]
    return f"* REPLACE ({', '.join(f'NULL AS {name}' for name in empty)})" if empty else "*"


def build(connection: Connection, plan: Plan, *, where: str | None = None, extra: str | None = None) -> int:
    """Make the table `made.frame` of the plan's slots, for rows that meet *where*; *extra* is kept as `extra`.

    Features are computed before rows are filtered, so that a value never depends on the filter. A key that is NULL
    finds nothing in the other parts. Tell the number of rows.
    """
    for number, part in enumerate(plan.parts):
        _make_part(connection, plan, number, part, where=where if number == 0 else None, extra=extra)
    joined = join_sql(plan, schema="made.", with_extra=extra is not None)
    connection.execute(f"CREATE TABLE made.frame AS {joined}")
    for number in range(len(plan.parts)):
        connection.execute(f"DROP TABLE made.part{number}")
    duplicates = _duplicates(connection, plan, "made.frame") if Window.ORDERED.value in plan.windows else 0
    if duplicates:
        raise InvalidInput(
            f"{duplicates} keys stand on several rows, so that lag(), row_number() and the like are chance; "
            f"extend the entity: {_examples(connection, plan, 'made.frame')}",
            field="entity",
        )
    return int(tables.row(connection, "SELECT count(*) FROM made.frame")[0])


def _make_part(
    connection: Connection, plan: Plan, number: int, part: Part, *, where: str | None, extra: str | None
) -> None:
    inner = part_sql(plan, part, where=where, extra=extra if number == 0 else None)
    # A feature may have come into the graph from outside, so its SQL is judged again before it runs.
    for node in functions.tree(connection, inner)["select_list"]:
        functions.check(connection, node, field="features")
    connection.execute(f"CREATE TABLE made.part{number} AS SELECT * EXCLUDE (keep) FROM ({inner}) WHERE keep")
    if number > 0 and _duplicates(connection, plan, f"made.part{number}"):
        raise InvalidInput(
            f"the entity ({', '.join(plan.feature_set.body['entity'])}) is not unique in {part.source}, "
            f"so that joining it would multiply rows: {_examples(connection, plan, f'made.part{number}')}",
            field="entity",
        )


def part_sql(plan: Plan, part: Part, *, where: str | None, extra: str | None) -> str:
    """The SELECT of the slots that come from one source, with a column `keep` that says which rows are wanted."""
    keys = {key["name"].casefold(): key for key in part.keys}
    selected = []
    for slot, key in zip(key_slots(plan), plan.entity, strict=True):
        selected.append(f"CAST({keys[key['name'].casefold()]['sql']} AS {key_type(key['type'])}) AS {slot}")
    for member in part.members:
        selected.append(f"CAST({member.feature.body['expression']} AS {member.type}) AS {member.slot}")
    if extra is not None:
        selected.append(f"{extra} AS extra")
    return f"SELECT {', '.join([*selected, f'{where or True} AS keep'])} FROM {part.source}"


def join_sql(plan: Plan, *, schema: str, with_extra: bool) -> str:
    """The SELECT of the whole frame over its parts, the tables part0, part1, … of *schema*."""
    keys = key_slots(plan)
    owner = {member.slot: number for number, part in enumerate(plan.parts) for member in part.members}
    columns = ", ".join([*(f"part0.{key}" for key in keys), *(f"part{owner[s]}.{s}" for s in plan.slots[len(keys) :])])
    joins = ""
    for number in range(1, len(plan.parts)):
        same = " AND ".join(f"part0.{key} = part{number}.{key}" for key in keys)
        joins += f" LEFT JOIN {schema}part{number} AS part{number} ON {same}"
    extra = ", part0.extra" if with_extra else ""
    return f"SELECT {columns}{extra} FROM {schema}part0 AS part0{joins}"


def key_slots(plan: Plan) -> list[str]:
    """The columns of the entity key in the frame's table."""
    return plan.slots[: len(plan.entity)]


def _duplicates(connection: Connection, plan: Plan, table: str) -> int:
    keys = ", ".join(key_slots(plan))
    found = f"SELECT 1 FROM {table} WHERE {_not_null(plan)} GROUP BY {keys} HAVING count(*) > 1"
    return int(tables.row(connection, f"SELECT count(*) FROM ({found})")[0])


def _examples(connection: Connection, plan: Plan, table: str) -> str:
    keys = key_slots(plan)
    shown = ", ".join(f"{key}::VARCHAR" for key in keys)
    rows = connection.execute(
        f"SELECT {shown}, count(*) AS n FROM {table} WHERE {_not_null(plan)} GROUP BY {', '.join(keys)} "
        f"HAVING n > 1 ORDER BY {', '.join(keys)} LIMIT {EXAMPLES}"
    ).fetchall()
    names = [str(key["name"]) for key in plan.entity]
    pairs = [", ".join(f"{name}={value}" for name, value in zip(names, row, strict=False)) for row in rows]
    return "; ".join(f"{pair} on {row[-1]} rows" for pair, row in zip(pairs, rows, strict=True))


def _not_null(plan: Plan) -> str:
    return " AND ".join(f"{key} IS NOT NULL" for key in key_slots(plan))


def write(connection: Connection, plan: Plan, table: str, target: Path) -> dict[str, Any]:
    """Write *table* as Parquet, the same bytes for the same rows; tell its sha256, rows and bytes."""
    order = ", ".join(f"{slot} NULLS LAST" for slot in plan.slots)
    rows = copy(connection, f"SELECT {plan.files} FROM {table} ORDER BY {order}", target)
    sha256, size = locations.digest(target)
    return {"sha256": sha256, "rows": rows, "bytes": size}


def copy(connection: Connection, select: str, target: Path) -> int:
    """Write the rows of a SELECT as Parquet, in their order, and count them."""
    place = tables.literal(str(target.resolve()))
    options = f"FORMAT parquet, CODEC 'zstd', ROW_GROUP_SIZE {ROW_GROUP}"
    return int(tables.row(connection, f"COPY ({select}) TO {place} ({options})")[0])


def versions(plan: Plan) -> dict[str, str]:
    """The datasets that the frame is made of, as name → id."""
    return {name: dataset.id for name, dataset in plan.datasets.items()}
