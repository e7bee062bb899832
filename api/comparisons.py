"""What differs between two artifacts, as the schema shows it."""

import strawberry
from strawberry.scalars import JSON

from api.artifacts import Artifact, shown
from api.sdl import object_type
from lineage import comparison as domain
from lineage.changes import Change

strawberry.enum(Change, description="What happened to a value on the way from the first artifact to the second.")


@object_type
class Difference:
    """A value that differs; delta is the second less the first where both are numbers, text the diff of a file."""

    section: str
    name: str
    change: Change
    a: JSON | None
    b: JSON | None
    delta: float | None
    text: str | None


@object_type
class Comparison:
    """Two artifacts of one kind: what differs in what they were made of, and their nearest common ancestors.

    *omittedFiles* are source files that differ beyond those that are shown.
    """

    a: Artifact
    b: Artifact
    differences: list[Difference]
    ancestors: list[Artifact]
    omitted_files: int
    complete: bool

    @classmethod
    def of(cls, comparison: domain.Comparison) -> "Comparison":
        """*comparison* as a type of the schema."""
        return cls(
            a=shown(comparison.a),
            b=shown(comparison.b),
            differences=[
                Difference(**{**vars(each), "a": JSON(each.a), "b": JSON(each.b)}) for each in comparison.differences
            ],
            ancestors=[shown(each) for each in comparison.ancestors],
            omitted_files=comparison.omitted_files,
            complete=comparison.complete,
        )
