"""The client: every verb and every question of the API."""

from lineage.client.deployments import Deployments
from lineage.client.freshness import Aging
from lineage.client.packages import Packaging
from lineage.client.plans import Plans
from lineage.client.promotions import Promotions
from lineage.client.questions import Questions
from lineage.client.reproductions import Reproductions
from lineage.client.schedules import Schedules
from lineage.client.searching import Searching
from lineage.client.triggers import Triggers
from lineage.client.verbs import Verbs
from lineage.client.watch import Watching
from lineage.client.webhooks import Webhooks


class Client(
    Verbs,
    Questions,
    Deployments,
    Reproductions,
    Schedules,
    Aging,
    Packaging,
    Searching,
    Triggers,
    Watching,
    Webhooks,
    Promotions,
    Plans,
):
    """Speaks to one API: that of *url*, or of LINEAGE_URL, or the one that runs on the data directory."""
