"""A stage: one workspace filled, started (or adopted), followed to its end, and its manifest checked."""

import hashlib
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
from anyio.to_thread import run_sync

from executors import folder
from executors.base import Limits, Prepared, Running, Workspace
from executors.jobs.job import Canceled, Job
from executors.together import together
from lineage import trees
from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import DigestMismatch, ExecutionFailed, NotFound, Unavailable
from lineage.runs import Outcome, RunState
from lineage.server import authorities, protocol_url

FOLLOW_SECONDS = 0.5
RELAY_SECONDS = 1.0
LOG_PIECE = 64 * 1024
K = ArtifactKind
#: What an executor may know of its work by the name that a cluster gave it; noted with the run.
CLUSTER = ("application", "tracking_url")

#: How much of the work is done, from 0 to 1.
Progress = Callable[[], Awaitable[float]]
#: Takes the number of a slot that has ended; an outcome in return ends the others too.
SlotEnded = Callable[[int], Awaitable[Outcome | None]]


async def prepared(job: Job, environment: Artifact) -> Prepared:
    """An environment that can be run in, and noted with the run."""
    found = await ready(job, environment)
    if found.artifact is not None:
        await job.house(found.artifact, found.edges)
    return found


async def ready(job: Job, environment: Artifact) -> Prepared:
    """An environment, built if nobody has built it for this digest yet; raise Canceled when that is asked for."""
    await job.advance(state=RunState.BUILDING, phase="environment", message=f"environment {environment.name}")
    locked = environment.body.get("lock")  # none where an image is all that an environment is
    lock = (await job.files.read(locked)).decode() if locked else ""
    async with together() as tasks:
        tasks.start_soon(_until_cancelled, job)
        found = await job.executor.prepare(environment, lock, log=job.log)
        tasks.cancel_scope.cancel()
    return found


async def _until_cancelled(job: Job) -> None:
    await job.cancelled.wait()
    job.check_cancelled()


async def run(
    job: Job,
    name: str,
    *,
    environment: Artifact,
    slots: int,
    spec: Mapping[str, Any],
    files: Mapping[str, str],
    code: Artifact | None = None,
    ended: SlotEnded | None = None,
    progress: Progress | None = None,
) -> Path:
    """Do the stage *name* and return its folder of results; raise ExecutionFailed when it ends badly.

    Args:
        spec: job.json without the protocol; see executors/trial.py.
        files: artifacts that the stage reads, as path in the workspace → sha256.
        code: the source tree that the stage runs.
        ended: told the number of each slot that has ended, once, while the others may go on; see SlotEnded.
        progress: asked now and then; what it says is told in the graph.
    """
    running = await _adopt(job, name, environment, slots)
    if running is None:
        place = await prepared(job, environment)
        workspace = await _fresh(job, name, place, slots)
        if code is not None:
            await _unpack(job, code, workspace.root / "code")
        await run_sync(place.keep, workspace.root)
        await _fill(job, workspace, spec, files)
        await job.advance(state=RunState.SUBMITTED, phase=name, message=None, progress=None)
        running = await job.executor.start(workspace)
    await job.advance(state=RunState.RUNNING, phase=name, **_heard(running))
    outcome = await _follow(job, running, ended, progress)
    if outcome.state is RunState.CANCELED:
        raise Canceled(f"run {job.run.id} was cancelled")
    if outcome.state is not RunState.SUCCEEDED:
        message = outcome.message or f"{name} ended as {outcome.state.value}"
        raise ExecutionFailed(message, reason=outcome.reason or "ERROR", log_tail=outcome.log_tail)
    return running.workspace.root / "out"


def _workspace(job: Job, name: str, place: Prepared, slots: int) -> Workspace:
    resources = job.spec.get("resources") or {}
    limits = Limits(
        memory_bytes=resources.get("memory_bytes"),
        processes=resources.get("processes"),
        cpus=resources.get("cpus"),
        disk_bytes=resources.get("disk_bytes"),
        seconds=resources.get("seconds") or job.settings.run_timeout,
    )
    return Workspace(
        run_id=job.run.id,
        generation=job.run.generation,
        attempt=job.run.attempt,
        root=job.root / name,
        prepared=place,
        slots=slots,
        limits=limits,
        network=bool(resources.get("network")),
    )


async def _adopt(job: Job, name: str, environment: Artifact, slots: int) -> Running | None:
    """What an earlier worker started and still runs, or has finished while nobody watched.

    Nothing where the run is tried again: what its last attempt came to is known, and would be the same.
    """
    if not (job.run.recovering or job.has_begun) or not (job.root / name / "job.json").exists():
        return None
    place = await run_sync(Prepared.kept, job.root / name) or await prepared(job, environment)
    running = await job.executor.adopt(_workspace(job, name, place, slots))
    if running is not None:
        job.has_begun = True
        running.log_offset = int((folder.read(job.root / name / "carried.json") or {}).get("offset", 0))
        job.token = json.loads((job.root / name / "job.json").read_text())["protocol"]["token"]
        await job.log(f"{name}: adopted from an earlier worker\n")
    return running


async def _fresh(job: Job, name: str, place: Prepared, slots: int) -> Workspace:
    half = job.root / name
    if job.token is not None and not (half / "job.json").exists():
        await run_sync(lambda: shutil.rmtree(half, ignore_errors=True))  # what it needs was away
    if job.token is None or half.exists():
        await job.begin_attempt()
    workspace = _workspace(job, name, place, slots)
    workspace.root.mkdir(parents=True, mode=0o700)
    return workspace


async def _fill(job: Job, workspace: Workspace, spec: Mapping[str, Any], files: Mapping[str, str]) -> None:
    for path, sha256 in files.items():
        target = workspace.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        await job.files.fetch(sha256, target)
    url = await protocol_url(job.settings, wants_socket=job.executor.wants_socket)
    protocol = {"url": url, "token": job.token, "authorities": authorities(job.settings, url)}
    text = json.dumps({**spec, "protocol": protocol, "out": "out"}, indent=1)
    (workspace.root / "out").mkdir()
    target = workspace.root / "job.json"
    descriptor = os.open(f"{target}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    os.replace(f"{target}.new", target)


async def _unpack(job: Job, code: Artifact, root: Path) -> None:
    data = await job.files.read(code.body["archive"])
    await anyio.to_thread.run_sync(trees.unpack, data, root)


async def _follow(
    job: Job, running: Running, slot_ended: SlotEnded | None, progress: Progress | None = None
) -> Outcome:
    """Wait for the end; meanwhile carry the log over, tell of slots that end, and stop it when asked to."""
    ended: list[Outcome] = []  # a verdict of the watch comes before what the work says of its own end
    over = anyio.Event()
    async with together() as tasks:
        tasks.start_soon(_carry, job, running, over)
        async with together() as watches:
            watches.start_soon(_watch, job, running, ended)
            watches.start_soon(_relay, job, running, progress)
            if slot_ended is not None:
                watches.start_soon(_watch_slots, job, running, slot_ended, ended)
            ended.append(await job.executor.wait(running))
            watches.cancel_scope.cancel()
        over.set()
    return _earlier(job, running) or ended[0] if ended[0].state is RunState.CANCELED else ended[0]


async def _watch(job: Job, running: Running, ended: list[Outcome]) -> None:
    """Stop the work when somebody asks for it or when it has been silent for too long; only then say so."""
    while True:
        verdict = _overdue(job)
        if verdict is not None:
            await _end(job, running, verdict, ended)
            return
        await anyio.sleep(FOLLOW_SECONDS)


async def _relay(job: Job, running: Running, progress: Progress | None) -> None:
    """Tell in the graph what the executor hears of the work, and how far it has come, when that has changed."""
    told: dict[str, Any] = {}
    while True:
        with suppress(Unavailable):  # told later
            seen = _heard(running)
            if progress is not None:
                seen["progress"] = round(await progress(), 3)
            changes = {name: seen[name] for name in seen if seen[name] != told.get(name)}
            if changes:
                await job.advance(**changes)
                told = seen
        await anyio.sleep(RELAY_SECONDS)


def _heard(running: Running) -> dict[str, Any]:
    known = {name: running.identity[name] for name in CLUSTER if name in running.identity}
    return {**known, "message": running.message} if known else known


async def _end(job: Job, running: Running, verdict: Outcome, ended: list[Outcome]) -> None:
    ended.append(verdict)  # before the work says that it was asked to stop
    body = {"state": verdict.state.value, "reason": verdict.reason, "message": verdict.message}
    await run_sync(folder.write, _verdict(running), body)
    await job.executor.stop(running, grace=job.settings.cancel_grace)


def _verdict(running: Running) -> Path:
    """Where it stands why the work was stopped; beside its folder, in which foreign code writes."""
    return running.workspace.root.with_suffix(".verdict.json")


def _earlier(job: Job, running: Running) -> Outcome | None:
    """Why a worker has stopped the work that did not live to say so; none where a user has asked for it."""
    body = folder.read(_verdict(running))
    if body is None or job.cancelled.is_set():
        return None
    return Outcome(state=RunState(body["state"]), reason=body["reason"], message=body["message"])


async def _watch_slots(job: Job, running: Running, slot_ended: SlotEnded, ended: list[Outcome]) -> None:
    told: set[int] = set()
    while True:
        for number in set(range(running.workspace.slots)) - told:
            note = running.workspace.root / "slots" / f"{number}.json"
            if (folder.read(note) or {}).get("state") == "ENDED":
                told.add(number)
                verdict = await slot_ended(number)
                if verdict is not None:
                    await _end(job, running, verdict, ended)
                    return
        await anyio.sleep(FOLLOW_SECONDS)


def _overdue(job: Job) -> Outcome | None:
    if job.cancelled.is_set():
        return Outcome(state=RunState.CANCELED, reason="CANCELED")
    heard, begun = job.run.last_beat_at, job.run.attempt_started_at
    since, allowed = (heard, job.settings.heartbeat_timeout) if heard else (begun, job.settings.start_timeout)
    if since is not None and (job.now() - since).total_seconds() > allowed:
        message = f"the work has not been heard of for {allowed:.0f} s and was ended"
        return Outcome(state=RunState.TIMED_OUT, reason="TIMEOUT", message=message)
    return None


async def _carry(job: Job, running: Running, over: anyio.Event) -> None:
    """Carry the log over until the work is *over*; no piece is given up halfway, since it is read but once."""
    while not over.is_set():
        await _drain(job, running)
        with anyio.move_on_after(FOLLOW_SECONDS):
            await over.wait()
    await _drain(job, running)


async def _drain(job: Job, running: Running) -> None:
    while True:
        text, running.log_offset = await job.executor.logs(running, running.log_offset)
        if not text:
            return
        await job.log(text)
        await run_sync(folder.write, running.workspace.root / "carried.json", {"offset": running.log_offset})


def manifest(out: Path) -> dict[str, Path]:
    """The files that a stage wrote, by their path in its folder, each checked against the manifest."""
    listing = folder.read(out / "manifest.json")
    if listing is None:
        raise NotFound("the work ended without a manifest, so its results are not whole")
    found = {}
    for each in listing["files"]:
        path = out / each["path"]
        if not path.resolve().is_relative_to(out.resolve()) or not folder.is_file(path):
            raise NotFound(f"the manifest names {each['path']!r}, which is no file of the results")
        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
        if actual != each["sha256"]:
            raise DigestMismatch(each["path"], each["sha256"], actual)
        found[each["path"]] = path
    return found
