"""What happened to a value between two that are compared."""

from enum import StrEnum


class Change(StrEnum):
    """What happened to a value on the way from the first to the second."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"
