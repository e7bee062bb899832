"""What a search may be told beside what every training is: how much of it may go wrong before it is given up."""

import math
from dataclasses import dataclass
from datetime import datetime

from lineage import requests
from lineage.errors import InvalidInput
from lineage.runs import Run
from lineage.settings import Settings
from lineage.store import Store


@dataclass(frozen=True, kw_only=True)
class Tune(requests.Tune):
    """A search whose single trials may take *trial_seconds* each; None leaves it to the settings."""

    trial_seconds: float | None = None


async def tune(store: Store, input: Tune, *, by: str, now: datetime) -> Run:
    """Queue a search over a space of hyperparameters."""
    most, seconds = input.max_failed_trials, input.trial_seconds
    if most is not None and most < 0:
        raise InvalidInput(f"maxFailedTrials must be 0 or more, not {most}", field="maxFailedTrials")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise InvalidInput(f"trialSeconds must be a number above 0, not {seconds:g}", field="trialSeconds")
    return await requests.tune(store, input, by=by, now=now)


def trial_limit(asked: float | None, run_seconds: float | None, settings: Settings) -> float:
    """Seconds that one trial may take: as *asked*, or by the settings but never more than half of the run's time.

    So a trial that hangs in one slot leaves time for the others, the fit and the evaluation.
    """
    return asked or min(settings.trial_timeout, (run_seconds or settings.run_timeout) / 2)
