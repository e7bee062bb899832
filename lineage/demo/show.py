"""The demo as it is seen: what is done, what came out of it, and where to look further."""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from anyio.from_thread import start_blocking_portal
from rich.console import Console
from rich.markup import escape

from lineage import server
from lineage.artifacts import ArtifactKind
from lineage.cli import printing, stack
from lineage.client import Artifact, Audit, Client, Walk
from lineage.demo import flights
from lineage.demo.pipeline import Data, Outcome, Pipeline
from lineage.settings import Settings

WRONG = "flights.dep_delay"
words = Console(stderr=True, highlight=False)


def demo(settings: Settings, *, trials: int, stay: bool, as_json: bool) -> None:
    """Show everything; what had to be started is stopped at the end unless *stay*."""
    started = time.monotonic()
    files = flights.unpack(settings.home / "demo")
    with _served(settings) as (client, is_ours):
        pipeline = Pipeline(client, progress=words.is_terminal and not as_json)
        _say("Data: every flight that left New York in 2013, with weather, planes, airports and airlines")
        data = pipeline.data(files)
        _say(f"{len(data.features)} features in SQL; now {trials} trials of boosted trees, two at a time")
        outcome = pipeline.model(data, trials=trials)
        if not as_json:
            _evaluation(outcome)
        _say("Scoring December, which nothing was learned from")
        predictions = pipeline.predictions(outcome.model)
        column = client.artifact(ArtifactKind.COLUMN, WRONG, data.datasets["flights"].version)
        impact, audit = client.impact(column), client.audit(outcome.model)
        summary = _summary(client, data, outcome, predictions, impact, audit) | {
            "seconds": round(time.monotonic() - started, 1)
        }
        if as_json:
            printing.as_json(summary)
        else:
            _answers(column, predictions, impact, audit)
        _end(client, summary["seconds"], stay=stay, is_ours=is_ours)


def _end(client: Client, seconds: float, *, stay: bool, is_ours: bool) -> None:
    _say(f"Done in {seconds:.0f} s.")
    if stay or not is_ours:
        words.print(f"Explore it all at {client.url}/graphql")
    else:
        words.print("`lineage up` serves all of this again; `lineage demo --stay` goes on serving at once.")
    if stay and is_ours:
        words.print("Ctrl-C stops it.")
        with suppress(KeyboardInterrupt):
            signal.pause()


@contextmanager
def _served(settings: Settings) -> Iterator[tuple[Client, bool]]:
    """A client of the API that runs on the data directory, or of everything that is started for it."""
    if settings.url or server.running(settings):
        with Client(settings=settings) as client:
            yield client, False
        return
    with start_blocking_portal() as portal, words.status("starting") as status:

        def tell(what: str) -> None:
            status.update(f"starting {what}")

        with portal.wrap_async_context_manager(stack.running(settings, tell=tell)), _terminable():
            status.stop()
            with Client(settings=settings) as client:
                yield client, True
            _say("Stopping")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, so that nothing stays behind."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    former = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def _say(sentence: str) -> None:
    words.print(f"[bold]{escape(sentence)}[/bold]")


def _evaluation(outcome: Outcome) -> None:
    """Print how the model does on the flights of October and November."""
    body = outcome.evaluation.body
    tried = [each for each in outcome.trials if each.value is not None]
    printing.out.print(f"\n{escape(str(outcome.model))}, the best of {len(tried)} trials:")
    bars = {each["metric"]: each for each in body["verdicts"]}
    rows = [(name, f"{value:.4f}", _verdict(bars.get(name))) for name, value in body["values"].items()]
    printing.out.print(printing.table(rows, "metric", "value", "threshold"))
    matrix = body["confusion_matrix"]
    names = [f"predicted {label}" for label in matrix["labels"]]
    counts = [(f"late: {label}", *row) for label, row in zip(matrix["labels"], matrix["matrix"], strict=True)]
    printing.out.print(printing.table(counts, "", *names))
    printing.out.print(
        f"It is @{outcome.promotion.alias} now."
        if outcome.promotion
        else f"Not promoted: {escape(outcome.refused or '')}"
    )


def _verdict(bar: Mapping[str, Any] | None) -> str:
    if bar is None or bar.get("threshold") is None:
        return ""
    return f"{bar['threshold']} {'passed' if bar['passed'] else 'missed'}"


def _answers(column: Artifact, predictions: Artifact, impact: Walk, audit: Audit) -> None:
    """Print what the graph knows now that nobody wrote down."""
    printing.out.print(f"{predictions.body['rows']} flights of December were scored.\n")
    printing.out.print(f"What if {WRONG} is wrong?")
    printing.walk(column, impact)
    printing.out.print()
    printing.audit(audit)
    printing.out.print()


def _summary(
    client: Client, data: Data, outcome: Outcome, predictions: Artifact, impact: Walk, audit: Audit
) -> dict[str, Any]:
    body = outcome.evaluation.body
    return {
        "url": client.url,
        "datasets": {name: _shown(each, "row_count") for name, each in data.datasets.items()},
        "features": list(data.features),
        "tune": {"run": outcome.run.id, "trials": _states([each.state for each in outcome.trials])},
        "model": {"id": outcome.model.id, "version": outcome.model.version, "params": outcome.model.body["params"]},
        "evaluation": {name: body[name] for name in ("values", "confusion_matrix", "verdicts", "passed")},
        "promoted": outcome.promotion.alias if outcome.promotion else None,
        "refused": outcome.refused,
        "predictions": _shown(predictions, "rows"),
        "impact": {"of": WRONG, "total": impact.total, "complete": impact.complete, "counts": dict(impact.counts)},
        "audit": {
            "complete": audit.complete,
            "gaps": [printing.plain(each) for each in audit.gaps],
            "digests": len(audit.verified_digests),
            "verified": sum(each.verified for each in audit.verified_digests),
        },
    }


def _shown(artifact: Artifact, *names: str) -> dict[str, Any]:
    return {"id": artifact.id, **{name: artifact.body[name] for name in names}}


def _states(states: Sequence[str]) -> dict[str, int]:
    return {state: states.count(state) for state in sorted(set(states))}
