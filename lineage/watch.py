"""Watch: evaluations of what a model meets in use, told apart from those of its own making."""

from enum import StrEnum

from lineage.artifacts import Artifact


class Watch(StrEnum):
    """What an evaluation looks at, where it is not a split of a training set."""

    #: How far the rows that were scored have moved from those that the model has learned from.
    DRIFT = "DRIFT"
    #: Predictions that were made before their labels were there.
    QUALITY = "QUALITY"


def watch_of(evaluation: Artifact) -> Watch | None:
    """What *evaluation* watches; None for one of a split, and for whatever another system has recorded."""
    word = evaluation.body.get("watch")
    return Watch(word) if isinstance(word, str) and word in set(Watch) else None
