"""The life cycle that runs itself: what every worker looks after, beside the runs that it does."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from lineage.cycle.execution import advance_plans
from lineage.cycle.firings import start_firings
from lineage.cycle.following import follow_aliases
from lineage.cycle.healing import cancel_plan, execute_plan, plan_retraining, retrain
from lineage.cycle.promotions import settle_promotions
from lineage.cycle.schedules import fire_schedules
from lineage.cycle.triggers import fire_triggers
from lineage.cycle.webhooks import enqueue_deliveries
from lineage.store import Store

__all__ = ["DUTIES", "Duty", "cancel_plan", "execute_plan", "plan_retraining", "retrain"]

#: One look at the graph that does what is due at an instant. Any number of workers call it side by side, and any of
#: them may die in the middle: what it writes is idempotent, or compared with what was read.
Duty = Callable[[Store, datetime], Awaitable[None]]

DUTIES: Sequence[Duty] = (
    fire_schedules,
    fire_triggers,
    start_firings,
    advance_plans,
    enqueue_deliveries,
    settle_promotions,
    follow_aliases,
)
