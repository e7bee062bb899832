"""The queries in cypher/queries, read once and checked: what a header promises, its body keeps.

The bound of a pattern, as in `*0..8`, is the one thing that takes no parameter in Cypher. A query whose comment has a
line `// bounds: 2 4 8` stands for four: `walk` as it is written, and `walk[2]`, `walk[4]`, `walk[8]`, whose pattern
ends there.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Literal

HEADER = re.compile(r"^// name: (\w+)\(([\w, ]*)\) (one|many|none) (read|write)$", re.MULTILINE)
PARAMETER = re.compile(r"\$(\w+)")
BOUNDS = re.compile(r"^// bounds: (\d+(?: \d+)*)$", re.MULTILINE)
OPEN_END = "*0..]"


@dataclass(frozen=True, kw_only=True)
class Query:
    """One named query: its text, the parameters it declares, how many rows it gives, whether it writes."""

    name: str
    parameters: frozenset[str]
    rows: Literal["one", "many", "none"]
    access: Literal["read", "write"]
    doc: str
    text: str


def parse(source: str, *, origin: str = "text") -> list[Query]:
    """Split *source* at its headers; raise ValueError where a header and its body disagree."""
    pieces = HEADER.split(source)
    if "// name:" in pieces[0]:
        raise ValueError(f"{origin}: a header does not have the form `// name: verb(params) rows access`")
    groups = zip(*(iter(pieces[1:]),) * 5, strict=True)
    return [each for group in groups for each in _bounded(origin, _query(origin, *group))]


def _bounded(origin: str, query: Query) -> list[Query]:
    declared = BOUNDS.search(query.text)
    if declared is None:
        return [query]
    if query.text.count(OPEN_END) != 1:
        raise ValueError(f"{origin}: {query.name}: declares bounds, and so has {OPEN_END} once")
    bounds = [int(each) for each in declared[1].split()]
    return [query, *(replace(query, name=f"{query.name}[{n}]", text=_closed(query.text, n)) for n in bounds)]


def _closed(text: str, bound: int) -> str:
    return text.replace(OPEN_END, f"*0..{bound}]")


def _query(origin: str, name: str, declared: str, rows: str, access: str, text: str) -> Query:
    if "// name:" in text:
        raise ValueError(f"{origin}: {name}: hides a mistyped header")
    lines = text.strip().splitlines()
    doc = lines[0].removeprefix("//").strip() if lines and lines[0].startswith("//") else ""
    if not doc:
        raise ValueError(f"{origin}: {name}: has no comment that says what it does")
    parameters = frozenset(word.strip() for word in declared.split(",") if word.strip())
    used = frozenset(PARAMETER.findall(re.sub(r"//.*", "", text)))
    if parameters != used:
        raise ValueError(f"{origin}: {name}: declares {sorted(parameters)}, uses {sorted(used)}")
    return Query(name=name, parameters=parameters, rows=rows, access=access, doc=doc, text=text.strip())  # type: ignore[arg-type]


def collect(queries: Iterable[Query]) -> Mapping[str, Query]:
    """The *queries* by name; raise ValueError on a name that stands twice."""
    found: dict[str, Query] = {}
    for query in queries:
        if query.name in found:
            raise ValueError(f"{query.name}: stands twice")
        found[query.name] = query
    return found


@cache
def load() -> Mapping[str, Query]:
    """All queries that the project ships, by name."""
    folder = files("cypher") / "queries"
    sources = sorted((entry.name, entry) for entry in folder.iterdir() if entry.name.endswith(".cypher"))
    return collect(query for name, entry in sources for query in parse(entry.read_text("utf-8"), origin=name))
