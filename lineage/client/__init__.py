"""The GraphQL API from Python: one method a verb, plain objects as answers."""

from lineage.client.answers import Rows
from lineage.client.artifacts import Artifact, Audit, AuditProgress, Fact, Gap, Promotion, VerifiedDigest
from lineage.client.client import Client
from lineage.client.comparisons import Comparison, Difference
from lineage.client.deployments import Deployment
from lineage.client.freshness import Freshness, RedoStep, Stale, Superseded
from lineage.client.packages import Packages
from lineage.client.promotions import PromotionRequest
from lineage.client.reproductions import Reproduction
from lineage.client.runs import Run, Trial
from lineage.client.schedules import Firing, Schedule
from lineage.client.searching import Namespace, SearchFacets
from lineage.client.triggers import Trigger
from lineage.client.walks import Facets, Link, Path, Reached, Walk
from lineage.client.webhooks import Delivery, Webhook

__all__ = [
    "Artifact",
    "Audit",
    "AuditProgress",
    "Client",
    "Comparison",
    "Delivery",
    "Deployment",
    "Difference",
    "Facets",
    "Fact",
    "Firing",
    "Freshness",
    "Gap",
    "Link",
    "Namespace",
    "Packages",
    "Path",
    "Promotion",
    "PromotionRequest",
    "Reached",
    "RedoStep",
    "Reproduction",
    "Rows",
    "Run",
    "Schedule",
    "SearchFacets",
    "Stale",
    "Superseded",
    "Trial",
    "Trigger",
    "VerifiedDigest",
    "Walk",
    "Webhook",
]
