"""Waiting for runs, plans and gates: look, pause, look again, and show how far it is."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Protocol, TypeVar

from lineage.client.runs import Run
from lineage.errors import ExecutionFailed, Unavailable
from lineage.runs import RunState

PAUSES = (0.3, 2.0)  # seconds between looks: the first, and the longest while nothing changes
AWAY_SECONDS = 120.0  # how long the server may be away while somebody waits
TAIL_LINES = 15

#: Hears the run at each look.
Progress = Callable[[Run], None]


class Patient(Protocol):
    """Something that has patience: seconds that it keeps trying for."""

    patience: float


class Lasting(Protocol):
    """Something that takes its time: a run, a plan, a request for promotion."""

    @property
    def id(self) -> str: ...
    @property
    def state(self) -> Enum: ...


L = TypeVar("L", bound=Lasting)


def until_over(
    look: Callable[[], L],
    *,
    is_over: Callable[[L], bool],
    tell: Callable[[L], None] = lambda found: None,
    timeout: float | None,
    patience: Patient,
) -> L:
    """Look until it is over, and tell of each look; raise Unavailable when *timeout* seconds have passed first."""
    until = None if timeout is None else time.monotonic() + timeout
    pause, before = PAUSES[0], None
    with _patient(patience):
        while True:
            found = look()
            tell(found)
            if is_over(found):
                return found
            if until is not None and time.monotonic() > until:
                raise Unavailable(f"{found.id} is still {found.state.value} after {timeout:g} s; it goes on")
            pause = PAUSES[0] if found != before else min(pause * 1.3, PAUSES[1])
            before = found
            time.sleep(pause)


def require_success(run: Run, log: Callable[[], str]) -> None:
    """Raise ExecutionFailed, with the end of the log, unless the run has succeeded."""
    if run.state is RunState.SUCCEEDED:
        return
    message = f"the {run.kind.value.lower()} run {run.id} ended as {run.state.value}"
    tail = "\n".join(log().rstrip().splitlines()[-TAIL_LINES:])
    reason = run.message or run.reason
    raise ExecutionFailed(f"{message}: {reason}" if reason else message, reason=run.reason or "ERROR", log_tail=tail)


@contextmanager
def _patient(patience: Patient) -> Iterator[None]:
    """Have more patience than for a single call: somebody who waits sits out a server's restart."""
    usual = patience.patience
    patience.patience = max(usual, AWAY_SECONDS)
    try:
        yield
    finally:
        patience.patience = usual


@contextmanager
def shown(progress: Progress | bool | None) -> Iterator[Progress]:
    """What hears of each look at a run: a bar on the terminal for True, nobody for None and False."""
    if progress is True:
        with bar() as tell:
            yield tell
    else:
        yield progress or (lambda run: None)


@contextmanager
def bar() -> Iterator[Progress]:
    """A progress bar on the terminal: what the run does, and for tuning its trials and the best value."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as shown:
        task = shown.add_task("…", total=None, note="")

        def tell(run: Run) -> None:
            done, total = amount(run)
            shown.update(task, description=describe(run), completed=done, total=total, note=note(run))

        yield tell


def describe(run: Run) -> str:
    """What a run is and what it does now, in a few words."""
    spec = run.spec.get("name")
    phase = f" · {run.phase}" if run.phase and not run.is_over else ""
    return f"{run.kind.value.lower()} {spec or run.id}{phase}"


def amount(run: Run) -> tuple[float, float | None]:
    """How much is done of how much; of how much is None where nobody knows."""
    trials = run.spec.get("trials")
    if trials and run.trial_counts:
        return float(finished(run)), float(trials)
    if run.is_over:
        return 1.0, 1.0
    return run.progress or 0.0, 1.0 if run.progress else None


def finished(run: Run) -> int:
    """How many trials have ended for good."""
    return sum(count for state, count in run.trial_counts.items() if state in {"COMPLETE", "PRUNED", "FAIL"})


def note(run: Run) -> str:
    """Trials done of all and the best value, or the state."""
    if not run.trial_counts:
        return run.state.value.lower()
    words = f"{finished(run)}/{run.spec.get('trials', '?')} trials"
    best = run.best_trial
    return f"{words}, best {best.value:.4f}" if best and best.value is not None else words
