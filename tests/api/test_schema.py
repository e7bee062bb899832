"""The schema as it is committed, and the rules that it follows."""

from pathlib import Path

from graphql import GraphQLInterfaceType, GraphQLNonNull, GraphQLObjectType, build_schema

import api
from api.schema import sdl
from lineage.artifacts import ArtifactKind

BUILT = build_schema(sdl())
COMMITTED = Path(api.__file__).parent / "schema.graphql"


def test_the_committed_schema_is_the_one_served() -> None:
    """api/schema.graphql is what `python -m api.schema` prints; run that into it after a change."""
    assert COMMITTED.read_text() == sdl()


def test_each_kind_has_a_type() -> None:
    """Every kind of artifact is a type that implements Artifact and Node."""
    types = [BUILT.get_type(kind.value) for kind in ArtifactKind]

    assert [["Artifact", "Node"]] * len(types) == [
        sorted(each.name for each in found.interfaces) for found in types if isinstance(found, GraphQLObjectType)
    ]


def test_each_mutation_takes_one_input_and_returns_a_payload() -> None:
    """A mutation is `verb(input: VerbInput!): …Payload!`."""
    mutation = BUILT.mutation_type
    assert mutation is not None

    shapes = {(tuple(each.args), str(each.type)[-8:]) for each in mutation.fields.values()}

    assert {(("input",), "Payload!")} == shapes


def test_everything_is_described() -> None:
    """Every type that we define says what it is."""
    own = {name: each for name, each in BUILT.type_map.items() if not name.startswith("__")}
    built_in = {"Boolean", "Float", "ID", "Int", "String"}

    assert [] == [name for name, each in own.items() if name not in built_in and not each.description]


def test_fields_of_the_same_name_have_the_same_shape() -> None:
    """What several kinds call by one name can be asked of all of them in one selection."""
    kinds = [BUILT.get_type(kind.value) for kind in ArtifactKind]
    shapes: dict[str, set[str]] = {}
    for kind in kinds:
        assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        for name, field in kind.fields.items():
            shapes.setdefault(name, set()).add(_shape(field.type))

    assert {} == {name: found for name, found in shapes.items() if len(found) > 1}


def _shape(type_: object) -> str:
    # Lists of objects may differ in their members, which are selected one by one.
    text = str(type_)
    if isinstance(type_, GraphQLNonNull) and text.startswith("[") and "String" not in text:
        return "[object]"
    return text
