"""Runs that put a model online: the version is recorded, wanted, and waited for until it is live."""

import time

import anyio

from executors.jobs import stage
from executors.jobs.job import Canceled, Job, Landing
from lineage.artifacts import Artifact, ArtifactKind
from lineage.deployments import described, edges_of
from lineage.endpoints import Endpoint, Following, endpoint_id
from lineage.errors import ExecutionFailed
from lineage.requests import environment_of
from lineage.runs import RunState

LOOK_SECONDS = 0.25
PATIENCE = 3  # failures in a row of a version that has never been live, after which it is given up


async def deploy(job: Job) -> Landing:
    """Make the environment ready, record the version, and wait until its replicas are healthy and it is live."""
    spec = job.spec
    model = await job.store.artifacts.one(spec["model"], ArtifactKind.MODEL)
    environment = await job.store.artifacts.one(await environment_of(job.store, model), ArtifactKind.ENVIRONMENT)
    place = await stage.prepared(job, environment)
    image = place.artifact.id if place.artifact else None
    version = described(spec, job.run.executor, model=model.id, environment=environment.id, image=image)
    edges = edges_of(version)
    await job.store.artifacts.record([version], edges, now=job.now(), by=job.run.created_by, run_id=job.run.id)
    await job.advance(state=RunState.RUNNING, phase="deploy", message=f"waiting for {spec['replicas']} healthy")
    id = endpoint_id(version.namespace, version.name)
    wanted = await job.store.endpoints.want(
        id,
        version.id,
        executor=job.run.executor,
        asked_at=job.run.created_at,
        run=job.run.id,
        following=Following.from_spec(spec.get("following")),
        now=job.now(),
    )
    if not wanted:
        raise _superseded()
    await _until_live(job, id, version)
    address = f"/deployments/{version.name}/invocations"
    return Landing(artifacts=[version], edges=edges, result={"deployment": version.id, "address": address})


async def _until_live(job: Job, id: str, version: Artifact) -> None:
    until = time.monotonic() + (job.spec["resources"].get("seconds") or job.settings.start_timeout)
    while True:
        endpoint = await job.store.endpoints.get(id)
        if endpoint is None or endpoint.wanted != version.id:
            raise _superseded()
        if endpoint.live == version.id:
            return
        error = _verdict(job, endpoint, version, is_late=time.monotonic() > until)
        if error is not None:
            await job.store.endpoints.withdraw(id, version.id, now=job.now())
            if following := Following.from_spec(job.spec.get("following")):
                message = f"{following.named} did not come to life: {error}"
                await job.store.endpoints.followed(id, following, message=message)
            raise error
        await anyio.sleep(LOOK_SECONDS)


def _verdict(job: Job, endpoint: Endpoint, version: Artifact, *, is_late: bool) -> Exception | None:
    if job.cancelled.is_set():
        return Canceled(f"run {job.run.id} was cancelled")
    failure = endpoint.failure
    failed = failure is not None and failure.deployment == version.id
    if failure is not None and failed and failure.count >= PATIENCE:
        message = f"no replica came to life in {failure.count} tries: {failure.message}"
        return ExecutionFailed(message, reason="NOT_HEALTHY", log_tail=failure.log_tail)
    if is_late:
        said = f": {failure.message}" if failure is not None and failed else ""
        return ExecutionFailed(f"the new version was not healthy in time{said}", reason="NOT_HEALTHY")
    return None


def _superseded() -> ExecutionFailed:
    return ExecutionFailed("another version, or an undeploy, was asked for later", reason="SUPERSEDED")
