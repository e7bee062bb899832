"""What differs between two artifacts, as plain objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from lineage.client.answers import Rows, known
from lineage.client.artifacts import Artifact


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A value that differs; *delta* is the second less the first where both are numbers, *text* the diff of a file."""

    section: str
    name: str
    change: str
    a: Any = None
    b: Any = None
    delta: float | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two artifacts of one kind: what differs, and their nearest common ancestors.

    *omitted_files* are source files that differ beyond those that are among the differences.
    """

    a: Artifact
    b: Artifact
    differences: Rows[Difference]
    ancestors: Rows[Artifact]
    complete: bool
    omitted_files: int = 0

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from the JSON of an answer."""
        return cls(
            a=Artifact.read(data["a"]),
            b=Artifact.read(data["b"]),
            differences=Rows([Difference(**known(Difference, each)) for each in data["differences"]]),
            ancestors=Rows([Artifact.read(each) for each in data["ancestors"]]),
            complete=data["complete"],
            omitted_files=data["omittedFiles"],
        )
