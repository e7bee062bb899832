"""What schedules and triggers have fired, as their commands print it."""

from collections.abc import Iterable

from lineage.cli import printing
from lineage.client import Client
from lineage.client.schedules import Firing
from lineage.firings import FiringState
from lineage.plans import PlanState
from lineage.promotions import PromotionState
from lineage.runs import RunState

#: How what was started may end without being a failure; a refusal by a gate is one.
GOOD = {RunState.SUCCEEDED, PlanState.SUCCEEDED, PromotionState.PROMOTED, PromotionState.WAITING}


def listed(found: Iterable[Firing], *, as_json: bool) -> None:
    """Print firings, the newest first."""
    if as_json:
        printing.as_json({"firings": list(found)})
        return
    rows = [(each.at, each.cause, each.state, started(each), each.artifact, each.message) for each in found]
    printing.out.print(printing.table(rows, "due", "cause", "state", "started", "of", ""))


def started(firing: Firing) -> str | None:
    """The id of what a firing has started."""
    return firing.run or firing.plan or firing.promotion


def ended_well(client: Client, firing: Firing) -> bool:
    """Whether what a firing has started came to a good end."""
    if firing.state is not FiringState.DONE:
        return False
    if firing.run:
        return client.run(firing.run).state in GOOD
    if firing.plan:
        return client.plan(firing.plan).state in GOOD
    return firing.promotion is not None and client.promotion(firing.promotion).state in GOOD
