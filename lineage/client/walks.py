"""Walks through the graph: what was reached, how far away, and over which links."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from lineage.artifacts import ArtifactKind
from lineage.client import picture
from lineage.client.answers import Rows, labels
from lineage.client.artifacts import Artifact


@dataclass(frozen=True, kw_only=True)
class Reached:
    """An artifact that a walk came to, and the number of steps to it."""

    artifact: Artifact
    distance: int


@dataclass(frozen=True, kw_only=True)
class Link:
    """An edge from what depends (*source*) to what it depends on (*target*), both by id."""

    type: str
    source: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Path:
    """One way from one artifact to another."""

    nodes: tuple[Artifact, ...]
    links: tuple[Link, ...]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        nodes = tuple(Artifact.read(each) for each in data["nodes"])
        return cls(nodes=nodes, links=tuple(Link(**each) for each in data["links"]))


@dataclass(frozen=True, kw_only=True)
class Facets:
    """How an answer divides: by kind, by who recorded it, by the id of the deployment that serves and depends on it."""

    total: int
    complete: bool
    truncated_by: tuple[str, ...]
    kinds: Mapping[str, int]
    owners: Mapping[str, int]
    deployments: Mapping[str, int]

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        facets = data["facets"]
        return cls(
            total=data["totalCount"],
            complete=data["complete"],
            truncated_by=tuple(data["truncatedBy"]),
            kinds={ArtifactKind[kind].value: count for kind, count in labels(facets["kinds"], "kind").items()},
            owners=labels(facets["owners"], "owner"),
            deployments={each["deployment"]["id"]: int(each["count"]) for each in facets["deployments"]},
        )


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What a walk reached, the nearest first; in a notebook it draws itself.

    *total* and *counts* are of the whole walk, of which *reached* is the first page; when *complete* is false,
    *truncated_by* says what cut it: DEPTH, SIZE or TIME.
    """

    total: int
    counts: Mapping[str, int]
    complete: bool
    truncated_by: tuple[str, ...] = ()
    #: Up to which distance a cut answer is whole.
    whole_to: int | None = None
    reached: Rows[Reached] = field(default_factory=lambda: Rows([]), repr=False)
    links: tuple[Link, ...] = field(default=(), repr=False)
    origins: tuple[Artifact, ...] = ()

    @classmethod
    def read(cls, data: Mapping[str, Any], origins: tuple[Artifact, ...] = ()) -> Self:
        """Read it from an answer."""
        nodes = [edge["node"] for edge in data["edges"]]
        reached = [Reached(artifact=Artifact.read(e["node"]), distance=e["distance"]) for e in data["edges"]]
        links = [
            Link(type=link["type"], source=node["id"], target=link["node"]["id"])
            for node in nodes
            for link in node.get("upstream", ())
        ]
        return cls(
            total=data["totalCount"],
            counts={ArtifactKind[kind].value: count for kind, count in labels(data["counts"], "kind").items()},
            complete=data["complete"],
            truncated_by=tuple(data["truncatedBy"]),
            whole_to=data["wholeTo"],
            reached=Rows(reached, total=data["totalCount"]),
            links=tuple(links),
            origins=origins,
        )

    def to_frame(self) -> Any:
        """A data frame with distance, kind, name, version and id of everything that was reached."""
        import pandas  # slow to import, and needed here alone

        columns = ["distance", "kind", "namespace", "name", "version", "aliases", "id"]
        rows = [
            {
                "distance": each.distance,
                "kind": each.artifact.kind.value,
                **{name: getattr(each.artifact, name) for name in columns[2:]},
            }
            for each in self.reached
        ]
        return pandas.DataFrame(rows, columns=columns)

    def _repr_svg_(self) -> str:
        layers: dict[int, list[Artifact]] = {0: list(self.origins)} if self.origins else {}
        for each in self.reached:
            layers.setdefault(each.distance, []).append(each.artifact)
        return picture.draw(
            [layers[distance] for distance in sorted(layers)],
            [(link.source, link.target, link.type) for link in self.links],
            note=self._note(),
        )

    def _note(self) -> str:
        shown = len(self.reached)
        words = [f"{self.total} reached"] + ([f"{shown} shown"] if shown < self.total else [])
        return ", ".join(words + ([] if self.complete else [f"cut by {', '.join(self.truncated_by).lower()}"]))
