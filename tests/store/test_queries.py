"""The named queries: what the loader refuses, and that each one shipped is sound and used."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lineage
from lineage.store import Store
from lineage.store.queries import collect, load, parse
from lineage.store.questions import Direction

GOOD = "// name: get_node(id) one read\n// A node.\nMATCH (n {id: $id}) RETURN n\n"
#: Not held against the graph: EXPLAIN does not take administration, and it would be that of the server.
ADMINISTRATION = {"set_own_password"}
#: Named by their verb and the direction of a walk.
BY_DIRECTION = {f"{verb}_{way}" for verb in ("kinds", "levels", "tally", "page") for way in Direction}


def test_a_query_is_what_its_header_says() -> None:
    """Name, parameters, rows, access and comment are read from the header."""
    (query,) = parse(GOOD)

    assert ("get_node", ["id"], "one", "read") == (query.name, [*query.parameters], query.rows, query.access)
    assert query.doc == "A node."


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("// name: f(id, other) one read\n// Doc.\nMATCH (n {id: $id}) RETURN n\n", "declares"),
        ("// name: f() one read\n// Doc.\nMATCH (n {id: $id}) RETURN n\n", "declares"),
        ("// name: f(id) one read\n// Only in a comment: $id.\nMATCH (n) RETURN n\n", "declares"),
        ("// name: f(id) some read\n// Doc.\nMATCH (n {id: $id}) RETURN n\n", "header"),
        (GOOD + "// name: g(id) one raed\n// Doc.\nRETURN $id AS id\n", "mistyped"),
        ("// name: f(id) one read\nMATCH (n {id: $id}) RETURN n\n", "no comment"),
        ("// name: f() one read\n", "no comment"),
    ],
)
def test_a_bad_header_is_refused(source: str, message: str) -> None:
    """A header that its body does not keep, or that is mistyped, is a ValueError that names its file."""
    with pytest.raises(ValueError, match=message) as caught:
        parse(source, origin="runs.cypher")
    assert "runs.cypher" in str(caught.value)


def test_a_name_stands_once() -> None:
    """Two queries of one name are refused."""
    with pytest.raises(ValueError, match="get_node: stands twice"):
        collect([*parse(GOOD), *parse(GOOD)])


def literals() -> Iterator[str]:
    """Every text that stands in the project's own Python."""
    for package in ("lineage", "api"):
        for path in (Path(lineage.__file__).parent.parent / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_every_query_is_used() -> None:
    """No shipped query is without a caller."""
    assert set() == {name.partition("[")[0] for name in load()} - BY_DIRECTION - set(literals())


def test_every_query_says_what_it_does() -> None:
    """Each comment is a sentence, and what writes says that it does."""
    for query in load().values():
        assert query.doc.endswith("."), query.name
        words = {word for word in query.text.split() if word in {"CREATE", "MERGE", "SET", "DELETE", "REMOVE"}}
        assert not words or query.access == "write", (query.name, words)


def test_bounds_make_a_query_of_each() -> None:
    """A pattern whose end takes no parameter stands for one query without an end, and one for each end declared."""
    walk = "// name: walk(id) one read\n// A walk.\n// bounds: 2 8\nMATCH (n {id: $id})-[*0..]->(m) RETURN m\n"

    found = {query.name: query.text.partition("-[*")[2].partition("]")[0] for query in parse(walk)}

    assert {"walk": "0..", "walk[2]": "0..2", "walk[8]": "0..8"} == found


def test_bounds_without_a_pattern_are_refused() -> None:
    """Bounds that would bound nothing are a ValueError."""
    with pytest.raises(ValueError, match="declares bounds"):
        parse(GOOD.replace("// A node.", "// A node.\n// bounds: 2"))


@pytest.mark.anyio
@pytest.mark.neo4j
async def test_every_query_has_a_plan(store: Store) -> None:
    """The server accepts every shipped query against the schema that the migrations make."""
    for name, query in load().items():
        if name in ADMINISTRATION or "[" in name:  # bounded walks are explained with the walks
            continue
        plan = await store.graph.explain(name, **dict.fromkeys(query.parameters))
        assert plan or query.text.startswith("// See to it"), name
