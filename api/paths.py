"""Answers to why: the ways between artifacts."""

from collections.abc import Sequence

import strawberry

from api.artifacts import Artifact, shown
from api.sdl import object_type
from lineage.artifacts import EdgeType
from lineage.store import paths as domain


@object_type
class PathLink:
    """An edge, from the dependent to what it depends on; that of an evaluation points to it from its model."""

    type: EdgeType
    source: strawberry.ID
    target: strawberry.ID

    @classmethod
    def of(cls, link: tuple[EdgeType, str, str]) -> "PathLink":
        """*link* as a type of the schema."""
        type_, source, target = link
        return cls(type=type_, source=strawberry.ID(source), target=strawberry.ID(target))


@object_type
class Path:
    """One way from an artifact to one that it depends on."""

    nodes: list[Artifact]
    links: list[PathLink]

    @classmethod
    def of(cls, path: domain.Path) -> "Path":
        """*path* as a type of the schema."""
        return cls(nodes=[shown(node) for node in path.nodes], links=[PathLink.of(link) for link in path.links])


@object_type
class Paths:
    """The shortest ways, and whether there are more."""

    paths: list[Path]
    more: bool

    @classmethod
    def of(cls, found: tuple[Sequence[domain.Path], bool]) -> "Paths":
        """What was found as a type of the schema."""
        paths, more = found
        return cls(paths=[Path.of(path) for path in paths], more=more)
