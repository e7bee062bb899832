"""What operators see: a line of log and a few numbers for each request, and how much the graph holds."""

import time

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineage.store.census import Census

log = structlog.get_logger()
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PATHS = (
    "/graphql",
    "/v1/ask",
    "/v1/report",
    "/v1/tell",
    "/v1/beat",
    "/v1/artifacts",
    "/health",
    "/metrics",
    "/static",
    "/deployments",
)
#: Seconds that predicting takes: from a linear model on a row to a forest on thousands.
BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


class Metrics:
    """The numbers of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "path", "status")
        self.requests = Counter("lineage_http_requests", "Requests answered", labels, registry=self.registry)
        self.seconds = Histogram("lineage_http_seconds", "Seconds to answer", ("path",), registry=self.registry)
        deployed = ("namespace", "deployment")
        self.scored = Counter(
            "lineage_scoring_requests", "Requests for predictions", (*deployed, "status"), registry=self.registry
        )
        self.scoring_seconds = Histogram(
            "lineage_scoring_seconds", "Seconds to predict", deployed, buckets=BUCKETS, registry=self.registry
        )
        self.artifacts = Gauge("lineage_artifacts", "Artifacts in the graph", ("kind",), registry=self.registry)
        self.runs = Gauge("lineage_runs", "Runs in the graph", ("state",), registry=self.registry)
        self.up = Gauge("lineage_graph_up", "Whether the graph answers", registry=self.registry)

    def text(self, census: Census | None) -> bytes:
        """Everything in the format of Prometheus; *census* is None while the graph does not answer."""
        self.up.set(census is not None)
        if census is not None:
            self.runs.clear()
            for kind, total in census.artifacts.items():
                self.artifacts.labels(kind).set(total)
            for state, total in census.runs.items():
                self.runs.labels(state).set(total)
        return generate_latest(self.registry)


class Telemetry:
    """Counts, times and logs requests; nothing of what they say."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve and take note."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status, started = 500, time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            path = next((path for path in PATHS if scope["path"].startswith(path)), "other")
            self.metrics.requests.labels(scope["method"], path, status).inc()
            self.metrics.seconds.labels(path).observe(seconds)
            log.debug("api.request", method=scope["method"], path=path, status=status, ms=round(seconds * 1000, 1))
