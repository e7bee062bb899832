"""What differs between the files of two source trees, within bounds that a page of an answer can hold."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lineage.changes import Change

FILES = 200  # files that differ and are shown
LINES = 400  # lines of the difference between two files that are shown
COMPARED = 5_000  # lines of a file that is compared line by line; the work grows with their square


@dataclass(frozen=True, kw_only=True)
class FileDiff:
    """A file that differs, and how: a unified diff, or why there is none."""

    path: str
    change: Change
    text: str


def between(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> tuple[Sequence[FileDiff], int]:
    """The files that differ in the order of their paths, and how many more there are than are shown."""
    differing = [path for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
    shown = [_file(path, old.get(path), new.get(path)) for path in differing[:FILES]]
    return shown, len(differing) - len(shown)


def _file(path: str, old: bytes | None, new: bytes | None) -> FileDiff:
    change = Change.ADDED if old is None else Change.REMOVED if new is None else Change.CHANGED
    return FileDiff(path=path, change=change, text=_text(path, old or b"", new or b""))


def _text(path: str, old: bytes, new: bytes) -> str:
    try:
        before, after = old.decode().splitlines(), new.decode().splitlines()
    except UnicodeDecodeError:
        return f"{path}: {len(old)} bytes, then {len(new)}; it is no text"
    if before and after and max(len(before), len(after)) > COMPARED:
        return f"{path}: {len(before)} lines, then {len(after)}; too many to be compared line by line"
    lines = list(difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", lineterm=""))
    rest = len(lines) - LINES
    return "\n".join([*lines[:LINES], *([f"… and {rest} more lines"] if rest > 0 else [])])
