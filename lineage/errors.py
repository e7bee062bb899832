"""Everything that can go wrong, as one tree.

LineageError
├── InvalidInput            INVALID_INPUT   the caller can mend it; names the field
├── NotFound                NOT_FOUND
├── Conflict                CONFLICT        the same identity with other content
│   ├── MigrationDrift
│   ├── VersionTaken
│   └── DigestMismatch
├── Forbidden               FORBIDDEN
├── Unauthenticated         UNAUTHENTICATED
├── LimitExceeded           LIMIT_EXCEEDED
├── Unavailable             UNAVAILABLE     something we need does not answer; try again
│   └── EmbeddedFailure                     the embedded Neo4j cannot be had; says what to do
└── RunError
    ├── LeaseLost           STALE_GENERATION
    │   └── AttemptOver                     the same, for what the work of an attempt that was given up says
    └── ExecutionFailed     FAILED          what was run ended badly; carries the last lines of its log
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

FEW = 12  # names that a message may list


class LineageError(Exception):
    """The base of every error that this project raises on purpose."""

    code = "INTERNAL"


class InvalidInput(LineageError):
    """The input cannot be used; *field* says which part of it, *nearest* offers what may have been meant."""

    code = "INVALID_INPUT"

    def __init__(self, message: str, *, field: str | None = None, nearest: Sequence[str] = ()) -> None:
        hint = f"; did you mean {' or '.join(repr(name) for name in nearest)}?" if nearest else ""
        super().__init__(message + hint)
        self.field, self.nearest = field, list(nearest)

    @classmethod
    def unknown(cls, what: str, name: str, known: Sequence[str], *, field: str | None = None) -> "InvalidInput":
        """An error for a *name* that is not among the *known* ones, offering the nearest of them, or all of a few."""
        nearest = get_close_matches(name, known, n=3, cutoff=0.5)
        all_of_them = f"; known: {', '.join(known)}" if known and not nearest and len(known) <= FEW else ""
        return cls(f"unknown {what} {name!r}{all_of_them}", field=field, nearest=nearest)


class NotFound(LineageError):
    """There is no such thing."""

    code = "NOT_FOUND"


class Conflict(LineageError):
    """The same identity is already taken by other content."""

    code = "CONFLICT"


class MigrationDrift(Conflict):
    """A migration that was applied differs from the file that is shipped."""


class DigestMismatch(Conflict):
    """Bytes that were read are not the bytes that were recorded."""

    def __init__(self, what: str, expected: str, actual: str) -> None:
        super().__init__(f"{what}: recorded digest {expected}, bytes have {actual}; the content was changed or damaged")
        self.expected, self.actual = expected, actual


class VersionTaken(Conflict):
    """Versions are recorded with other digests already; *taken* maps ids to (recorded digest, given digest)."""

    def __init__(self, taken: Mapping[str, tuple[str, str]]) -> None:
        said = [f"{id} was recorded with the digest {one}, not {other}" for id, (one, other) in taken.items()]
        super().__init__("; ".join(said[:20]) + (f"; and {len(said) - 20} more" if len(said) > 20 else ""))
        self.taken = dict(taken)


class Forbidden(LineageError):
    """The caller may not do this."""

    code = "FORBIDDEN"


class Unauthenticated(LineageError):
    """The caller did not say who it is, or not in a way that can be believed."""

    code = "UNAUTHENTICATED"


class LimitExceeded(LineageError):
    """The request asks for more than one request may."""

    code = "LIMIT_EXCEEDED"


class TookTooLong(LimitExceeded):
    """A query to the graph was stopped at the end of its time; nothing is known of its answer."""


class Unavailable(LineageError):
    """Something that we need does not answer; trying again later may help."""

    code = "UNAVAILABLE"


class EmbeddedFailure(Unavailable):
    """The embedded Neo4j cannot be installed or started; the message says what to do."""


class RunError(LineageError):
    """Something about a run."""


class LeaseLost(RunError):
    """The run was handed to another worker; this result is discarded."""

    code = "STALE_GENERATION"

    def __init__(self, run_id: str, held: int) -> None:
        super().__init__(f"run {run_id}: generation {held} of its lease is over; this result is discarded")
        self.run_id, self.held = run_id, held


class AttemptOver(LeaseLost):
    """The attempt, or the slot, that speaks was given up; what it says is discarded and it should stop."""

    def __init__(self, run_id: str, attempt: int) -> None:
        RunError.__init__(self, f"run {run_id}: attempt {attempt} was given up; what it says is discarded")
        self.run_id, self.held = run_id, attempt


class ExecutionFailed(RunError):
    """What was run ended badly; *reason* is a word for machines, *log_tail* its last lines."""

    code = "FAILED"

    def __init__(self, message: str, *, reason: str = "ERROR", log_tail: str = "") -> None:
        super().__init__(message)
        self.reason, self.log_tail = reason, log_tail
