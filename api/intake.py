"""Intake in the schema: lineage of other systems, in bulk or as a stream of single events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import strawberry
from strawberry.scalars import JSON
from strawberry.types.arguments import InputContext

from api.context import Info, changing
from api.sdl import built_by, input_type, object_type
from lineage import intake
from lineage.artifacts import ArtifactKind, EdgeType


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What a call brings, as the domain knows it."""

    nodes: Sequence[intake.NodeInput]
    edges: Sequence[intake.EdgeInput]
    producer: str | None
    keep_rest: bool


@input_type
class LineageRefInput:
    """A version of a name."""

    kind: ArtifactKind
    name: str
    version: str
    namespace: str = "default"


@input_type
class LineageNodeInput(LineageRefInput):
    """A node as another system describes it."""

    digest: str | None = None
    description: str | None = None
    tags: list[str] = strawberry.field(default_factory=list)
    properties: JSON | None = None


@input_type
class LineageEdgeInput:
    """An edge from the dependent to what it depends on; what nobody has described yet becomes a placeholder."""

    type: EdgeType
    source: LineageRefInput
    target: LineageRefInput


def _brought(cls: type, value: Mapping[str, Any], context: InputContext) -> Brought:
    """The domain's items, made at once: Strawberry's own way takes five times as long, for each of thousands."""
    return Brought(
        nodes=[_node(each) for each in value["nodes"]],
        edges=[
            intake.EdgeInput(
                type=each["type"], source=intake.Ref(**each["source"]), target=intake.Ref(**each["target"])
            )
            for each in value["edges"]
        ],
        producer=value.get("producer"),
        keep_rest=value["keepRest"],
    )


def _node(value: Mapping[str, Any]) -> intake.NodeInput:
    properties = value.get("properties")
    return intake.NodeInput(**{**value, "properties": {} if properties is None else properties})


@built_by(_brought)
@input_type
class RecordLineageInput:
    """Nodes and edges in bulk, in any order and any number of times; *keep_rest* records what is well of it."""

    nodes: list[LineageNodeInput] = strawberry.field(default_factory=list)
    edges: list[LineageEdgeInput] = strawberry.field(default_factory=list)
    producer: str | None = None
    keep_rest: bool = False


@object_type
class RefusedItem:
    """What is wrong with one item: its *list* (nodes or edges), its index there, the reason."""

    list: str
    index: int
    message: str


@object_type
class RecordLineagePayload:
    """How many distinct nodes and edges the call brought, placeholders not counted, and what of it was refused."""

    nodes: int
    edges: int
    refused: list[RefusedItem]


@strawberry.type
class IntakeMutation:
    """What takes in lineage."""

    @strawberry.mutation
    async def record_lineage(self, info: Info, input: RecordLineageInput) -> RecordLineagePayload:
        """Record what other systems know: all of it or, without *keep_rest*, nothing when an item is wrong."""
        given, asked = cast(Brought, input), changing(info)
        by, now = given.producer or asked["by"], asked["now"]
        done = await intake.record_lineage(
            info.context.store, given.nodes, given.edges, by=by, now=now, keep_rest=given.keep_rest
        )
        refused = [RefusedItem(**vars(each)) for each in done.refused]
        return RecordLineagePayload(nodes=done.nodes, edges=done.edges, refused=refused)
