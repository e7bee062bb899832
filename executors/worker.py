"""The worker: leases runs, does them, and lands what they made, whoever else dies meanwhile."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import anyio
import structlog
from anyio.to_thread import run_sync

from executors import beats, registry
from executors.jobs import JOBS
from executors.jobs.job import Canceled, Job, Landing
from executors.serving.controller import Controller
from executors.serving.launcher import Launcher
from executors.together import together
from lineage.cycle import DUTIES
from lineage.cycle.courier import Courier
from lineage.endpoints import REPLICA
from lineage.errors import ExecutionFailed, InvalidInput, LeaseLost, LineageError, Unavailable
from lineage.files import Files
from lineage.runs import Outcome, RunKind, RunState, retry
from lineage.settings import Settings
from lineage.store import Store
from lineage.tuning.studies import Studies

log = structlog.get_logger()

POLL_SECONDS = (0.15, 0.45)  # between looks at an empty queue, with jitter so that workers do not march in step
REAP_SECONDS = 5.0
DUTY_SECONDS = 1.0
TIDY_SECONDS = 30.0
UNAVAILABLE_SECONDS = 1.0
HAND_OVER_SECONDS = 5.0
MESSAGE_LIMIT = 2000  # characters of why an attempt ended that stand in the log
RECOVERIES = 5  # how often a run may lose its work, beyond its attempts, before it is LOST for good

STATES: Mapping[str, RunState] = {"TIMEOUT": RunState.TIMED_OUT, "LOST": RunState.LOST}


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


class Worker:
    """Does runs, some side by side; any number of workers share one graph."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        name: str,
        executors: tuple[str, ...] = ("process",),
        now: Callable[[], datetime] = utc_now,
        jobs: Mapping[RunKind, Callable[[Job], Awaitable[Landing]]] = JOBS,
    ) -> None:
        self.store, self.settings, self.name = store, settings, name
        self._files = Files(settings.artifacts_url)
        self._studies = Studies(store.graph)
        self._executors = {each: registry.load(each, settings) for each in executors}
        self._now, self._jobs = now, jobs
        self._ttl = timedelta(seconds=settings.lease_seconds)
        self._stopping = anyio.Event()

    def stop(self) -> None:
        """Take no more runs; what is under way is left for whoever comes next to adopt."""
        self._stopping.set()

    async def work(self) -> None:
        """Do runs until `stop`."""
        log.info("worker.start", worker=self.name, executors=sorted(self._executors))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._reap)
            tasks.start_soon(self._controller().run)
            tasks.start_soon(self._tidy)
            tasks.start_soon(self._attend)
            tasks.start_soon(self._deliver)
            for _ in range(self.settings.slots or 2):
                tasks.start_soon(self._serve)
            await self._stopping.wait()
            tasks.cancel_scope.cancel()
        await run_sync(beats.end, self.settings.home, self.name)
        log.info("worker.stop", worker=self.name)

    def _controller(self) -> Controller:
        launcher = Launcher(
            store=self.store, files=self._files, settings=self.settings, executors=self._executors, now=self._now
        )
        return Controller(launcher, name=self.name, ttl=self._ttl)

    async def _serve(self) -> None:
        while not self._stopping.is_set():
            try:
                if not await self.step():
                    await anyio.sleep(random.uniform(*POLL_SECONDS))
            except Unavailable as error:
                log.warning("worker.wait", worker=self.name, error=str(error))
                await anyio.sleep(UNAVAILABLE_SECONDS)

    async def _reap(self) -> None:
        while not self._stopping.is_set():
            try:
                for run in await self.store.runs.recover_expired(now=self._now()):
                    log.warning("run.recover", run_id=run.id, generation=run.generation)
            except Unavailable as error:
                log.warning("worker.wait", worker=self.name, error=str(error))
            await anyio.sleep(min(REAP_SECONDS, self._ttl.total_seconds() / 4))

    async def _tidy(self) -> None:
        """Have the executors remove what is left of runs that are over, now and then."""
        while not self._stopping.is_set():
            for name, executor in self._executors.items():
                try:
                    await executor.tidy(self._attempts)
                except (Unavailable, ExecutionFailed) as error:
                    log.debug("worker.untidy", worker=self.name, executor=name, error=str(error))
            await anyio.sleep(TIDY_SECONDS)

    async def _attend(self) -> None:
        """Look after the life cycle: each of its duties in turn, again and again."""
        while not self._stopping.is_set():
            await run_sync(beats.beat, self.settings.home, self.name)
            for duty in DUTIES:
                try:
                    await duty(self.store, self._now())
                except Unavailable as error:
                    log.warning("worker.wait", worker=self.name, error=str(error))
                except Exception:  # a fault in one duty must not keep the others, or the runs, from going on
                    log.exception("duty.fault", worker=self.name, duty=getattr(duty, "__name__", repr(duty)))
            await anyio.sleep(DUTY_SECONDS)

    async def _deliver(self) -> None:
        """Post what webhooks are to be told, again and again."""
        while not self._stopping.is_set():
            try:
                await Courier(self.store, self.settings, now=self._now).run()
            except Exception:  # a fault in one message must not keep the runs from going on
                log.exception("courier.fault", worker=self.name)
            await anyio.sleep(UNAVAILABLE_SECONDS)

    async def _attempts(self, ids: Sequence[str]) -> Mapping[str, int]:
        """The oldest attempt that may still run of runs, and of replicas, each of which has one."""
        found = await self.store.runs.by_ids(ids)
        replicas = {id for id in ids if id.startswith(REPLICA)}
        over = replicas - await self.store.endpoints.kept(sorted(replicas)) if replicas else ()
        return {id: run.attempt + run.is_over for id, run in found.items()} | dict.fromkeys(over, 2)

    async def step(self) -> bool:
        """Do the oldest ready run, if there is one; False when nothing waits."""
        lease = await self.store.runs.lease(self.name, executors=list(self._executors), now=self._now(), ttl=self._ttl)
        if lease is None:
            return False
        log.info("run.lease", run_id=lease.run.id, kind=lease.run.kind.value, generation=lease.generation)
        job = Job(
            lease=lease,
            store=self.store,
            files=self._files,
            studies=self._studies,
            settings=self.settings,
            executor=self._executors[lease.run.executor],
            now=self._now,
        )
        try:
            await self._do(job)
        except LeaseLost as error:
            log.warning("run.lease_lost", run_id=lease.run.id, error=str(error))
        except anyio.get_cancelled_exc_class():
            await self._hand_over(job)
            raise
        return True

    async def _hand_over(self, job: Job) -> None:
        """This worker stops: let the next one adopt the work at once instead of when the lease has run out."""
        now = self._now()
        with anyio.move_on_after(HAND_OVER_SECONDS, shield=True), suppress(LineageError):
            await self.store.runs.give_back(job.lease, RunState.NEEDS_RECOVERY, now=now, not_before=now)

    async def _do(self, job: Job) -> None:
        """Do one run under a lease that is kept alive meanwhile; nothing is written once it is lost."""
        async with together() as tasks:
            tasks.start_soon(self._renew, job)
            await self._finish(job, await self._attempt(job))
            tasks.cancel_scope.cancel()

    async def _renew(self, job: Job) -> None:
        while True:
            await anyio.sleep(self._ttl.total_seconds() / 3)
            try:
                job.lease = await self.store.runs.renew(job.lease, now=self._now(), ttl=self._ttl)
            except Unavailable:
                continue  # tried again in a third of the lease; while the graph is away nobody else can take it
            if job.run.cancel_requested_at is not None:
                job.cancelled.set()

    async def _attempt(self, job: Job) -> Landing | Outcome:
        if job.run.attempt >= job.run.max_attempts + RECOVERIES:
            return Outcome(state=RunState.LOST, reason="LOST", message="its work was lost too often")
        if job.run.cancel_requested_at is not None:
            job.cancelled.set()
        waited = False
        while True:
            try:
                end = await self._jobs[job.run.kind](job)
                if waited:
                    await _tell(job, None)
                return end
            except Unavailable as error:
                log.warning("run.wait", run_id=job.run.id, error=str(error))
                waited = True
                await _tell(job, f"it waits: {error}")
                await anyio.sleep(UNAVAILABLE_SECONDS)  # the run waits, and goes on where it was
            except LeaseLost:
                raise
            except LineageError as error:
                return _outcome(error)
            except Exception:  # a fault of ours must end this run only, not the worker
                log.exception("run.fault", run_id=job.run.id)
                message = f"a fault of the worker; its log has the details under run_id={job.run.id}"
                return Outcome(state=RunState.FAILED, reason="FAULT", message=message)

    async def _finish(self, job: Job, end: Landing | Outcome) -> None:
        while True:
            try:
                await self._land(job, end)
            except Unavailable as error:
                log.warning("run.wait", run_id=job.run.id, error=str(error))
                await anyio.sleep(UNAVAILABLE_SECONDS)
            except LeaseLost:
                raise
            except LineageError as error:
                if isinstance(end, Outcome):
                    raise
                end = _outcome(error)  # what it made contradicts the graph: the run says so
            else:
                return

    async def _land(self, job: Job, end: Landing | Outcome) -> None:
        now = self._now()
        if isinstance(end, Landing):
            outcome = Outcome(state=RunState.SUCCEEDED)
            await self.store.runs.finish(
                job.lease,
                outcome,
                now=now,
                result=end.result,
                artifacts=end.artifacts,
                edges=end.edges,
                reproduced=end.reproduced,
            )
            log.info("run.finish", run_id=job.run.id, state=outcome.state.value)
            return
        if end.state in {RunState.FAILED, RunState.LOST} and not job.has_begun:
            await job.begin_attempt()  # what ended before any work was started counts as well, or it had no end
        decision = retry(job.run, end, now=now)
        if decision.not_before is not None:
            await self.store.runs.give_back(
                job.lease, decision.state, now=now, not_before=decision.not_before, outcome=end
            )
            why = f"{end.reason or end.state.value}: {end.message}"[:MESSAGE_LIMIT]
            with suppress(Unavailable):  # the message of the run has it as well, until the next attempt
                await job.log(f"attempt {job.run.attempt} is over ({why}); the run is tried again\n")
        else:
            await self.store.runs.finish(job.lease, end, now=now)
        log.info("run.finish", run_id=job.run.id, state=decision.state.value, reason=end.reason, message=end.message)


async def _tell(job: Job, message: str | None) -> None:
    """Say in the graph what a run waits for, unless it is the graph that is away."""
    if job.run.message != message:
        with suppress(Unavailable):
            await job.advance(message=message)


def _outcome(error: LineageError) -> Outcome:
    if isinstance(error, Canceled):
        return Outcome(state=RunState.CANCELED, reason="CANCELED", message=str(error))
    if isinstance(error, ExecutionFailed):
        state = STATES.get(error.reason, RunState.FAILED)
        return Outcome(state=state, reason=error.reason, message=str(error), log_tail=error.log_tail)
    reason = "INVALID_INPUT" if isinstance(error, InvalidInput) else error.code
    return Outcome(state=RunState.FAILED, reason=reason, message=str(error))
