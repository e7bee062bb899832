"""SQL that people write, parsed by sqlglot: one expression or one FROM clause, nothing else, in one spelling."""

import logging
from collections.abc import Callable
from typing import TypeVar

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lineage.errors import InvalidInput

T = TypeVar("T")
LENGTH_LIMIT = 10_000  # characters of one piece of SQL
Expr = exp.Expr

# What the parser takes for a statement is refused here; its warning would put people's SQL into logs.
logging.getLogger("sqlglot").setLevel(logging.ERROR)

ROOTS = (exp.Condition, exp.AtTimeZone, exp.Interval, exp.Star, exp.Alias, exp.Query, exp.Paren)
#: What is refused, with the words for it. DuckDB's own tree is judged after this one, by an allow-list.
REFUSED: tuple[tuple[tuple[type[Expr], ...], str], ...] = (
    ((exp.Query, exp.Table, exp.Exists), "a subquery has no place in an expression; join the dataset in the source"),
    ((exp.Star, exp.Columns), "name the columns; * has no place in an expression"),
    ((exp.Placeholder, exp.Parameter, exp.PositionalColumn), "a parameter has no place in an expression"),
    ((exp.Lambda, exp.Comprehension, exp.Explode), "functions over the members of a list are not supported"),
    ((exp.Alias,), "give the expression alone; its name is the name of the feature"),
    ((exp.PropertyEQ,), "structures and named arguments have no place in an expression"),
    ((exp.Dot,), "write struct_extract(column, 'field') for a field of a column"),
)
#: sqlglot reads these as other functions than DuckDB does.
REFUSED_OPERATORS = {"~": "regexp_full_match", "!~": "NOT regexp_full_match", "@": "abs"}


def parse_expression(sql: str, *, field: str = "sql") -> Expr:
    """The one expression that *sql* is; raise InvalidInput for anything else."""
    _check_operators(sql, field)
    found = _parse(sql, field)
    if not isinstance(found, ROOTS):
        raise InvalidInput("one expression is wanted, not a statement", field=field)
    for node in found.walk():
        if isinstance(node, exp.Star) and isinstance(node.parent, exp.Count):
            continue
        for types, message in REFUSED:
            if isinstance(node, types):
                raise InvalidInput(message, field=field)
    return found.unnest()


def parse_from(source: str, *, field: str = "source") -> exp.Select:
    """The FROM clause that *source* is, as a SELECT of nothing; raise InvalidInput for anything else."""
    if not source.strip():
        raise InvalidInput("it is empty; name a dataset", field=field)
    found = _parse(f"SELECT 1 FROM {source}", field)
    allowed = {"expressions", "from_", "joins", "where"}
    if not isinstance(found, exp.Select) or any(value for name, value in found.args.items() if name not in allowed):
        raise InvalidInput("a source is datasets with JOIN … ON … and WHERE, nothing else", field=field)
    return found


def _parse(sql: str, field: str) -> Expr:
    if len(sql) > LENGTH_LIMIT:
        raise InvalidInput(f"SQL may have {LENGTH_LIMIT} characters, this has {len(sql)}", field=field)
    if "\0" in sql:
        raise InvalidInput("a null character has no place in SQL", field=field)
    statements = _guarded(lambda: sqlglot.parse(sql, read="duckdb"), field)
    if len(statements) != 1 or statements[0] is None:
        raise InvalidInput("one expression is wanted" if statements != [None] else "it is empty", field=field)
    return statements[0]


def _check_operators(sql: str, field: str) -> None:
    for token in _guarded(lambda: sqlglot.tokenize(sql[:LENGTH_LIMIT], read="duckdb"), field):
        if token.text in REFUSED_OPERATORS and token.token_type.name not in {"STRING", "IDENTIFIER"}:
            raise InvalidInput(f"write {REFUSED_OPERATORS[token.text]}(…) instead of {token.text}", field=field)


def text(node: Expr, *, field: str = "sql") -> str:
    """The one spelling of *node*: the SQL that DuckDB is given."""
    return _guarded(lambda: node.sql(dialect="duckdb", comments=False, normalize_functions="upper"), field)


def _guarded(function: Callable[[], T], field: str) -> T:
    try:
        return function()
    except SqlglotError as error:
        raise InvalidInput(f"it is not SQL: {_plain(error)}", field=field) from error
    except (ValueError, AttributeError, TypeError, LookupError) as error:  # the parser trips over some nonsense
        raise InvalidInput("it is not SQL", field=field) from error
    except RecursionError as error:
        raise InvalidInput("it is nested too deeply", field=field) from error


def _plain(error: SqlglotError) -> str:
    details = getattr(error, "errors", None)
    if not details:
        return str(error).splitlines()[0][:200]
    first = details[0]
    return f"{first['description']} at column {first['col']}, near {first['highlight']!r}"
