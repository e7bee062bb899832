"""The executor `spark_yarn`: an application on YARN for each workspace, followed by the ResourceManager's own word.

An application bears the tag of its workspace, so that one submitted just before a crash is found again; whoever submits
holds a lock for as long, so that after it nothing can come to life unseen.
"""

import fcntl
import os
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import anyio
from anyio.to_thread import run_sync

from executors import folder, outcomes
from executors.alone import alone
from executors.base import Attempts, Log, Prepared, Running, Workspace
from executors.containers.launch import home_id
from executors.spark_yarn import archive, batch, distribution, results, submission
from executors.spark_yarn.hadoop import Hadoop
from executors.spark_yarn.manager import Application, Manager, Patience
from executors.spark_yarn.staging import Staging
from lineage.artifacts import Artifact
from lineage.errors import Conflict, ExecutionFailed, InvalidInput
from lineage.runs import Outcome, RunState
from lineage.settings import Settings

#: Seconds between questions after the application: a fiftieth of how long it was waited for already, within these.
POLL_SECONDS = (0.2, 1.0)
WORDS = 1600  # characters of what YARN or Spark says of an end that stand in a run's message
LOOK_SECONDS = 3.0  # between looks at which containers an application has
LOST_SHOWN = 5  # executors that were lost whose logs are kept
AWAY_SECONDS = 120.0  # how long the ResourceManager may be away before the work is given up
SUBMIT_SECONDS = 180.0
KILL_SECONDS = 60.0
TASKS_EACH = 2  # tasks of a batch for each executor: one that is slow keeps the others waiting for less
#: What YARN says of a container that took more memory than it asked for.
MEMORY = ("beyond physical memory limits", "beyond the 'PHYSICAL' memory limit", "exceeding physical memory limits")


class SparkYarnExecutor:
    """Runs workspaces on the cluster that HADOOP_CONF_DIR describes."""

    wants_socket = False
    materialises = True

    def __init__(self, settings: Settings) -> None:
        if not settings.hadoop_conf_dir:
            message = "executor 'spark_yarn' needs a cluster: set HADOOP_CONF_DIR, or LINEAGE_HADOOP_CONF_DIR"
            raise InvalidInput(message, field="executor")
        self._settings = settings
        self._found: Hadoop | None = None

    async def prepare(self, environment: Artifact, lock: str, *, log: Log) -> Prepared:
        """Pack the environment unless it is packed, and put it where the cluster finds it; see `Executor.prepare`."""
        hadoop = await self._hadoop()
        packed = await archive.build(environment, lock, settings=self._settings, log=log)
        staging = Staging(self._settings, hadoop)
        address = await run_sync(staging.put, packed.path, f"environments/{packed.sha256}.tar.gz")
        return Prepared(python=Path("environment/bin/python"), image=address)

    async def start(self, workspace: Workspace) -> Running:
        """Submit the application; see `Executor.start`."""
        root, hadoop = workspace.root, await self._hadoop()
        async with alone(root / "start.lock"):
            if (root / "abandoned").exists() or (root / "started.json").exists():
                raise Conflict(f"work was started in {root.name} before; a new attempt needs a new workspace")
            staging = Staging(self._settings, hadoop)
            spark = await distribution.published(self._settings, hadoop, staging)
            work = await run_sync(self._pack, workspace, staging)
            folder.write(root / "started.json", {"at": time.time()})
            home = await run_sync(home_id, self._settings.home)
            address = staging.address(f"{submission.results(workspace)}/results.tar")
            wanted = submission.command(
                workspace, self._settings, hadoop, home=home, work=work, address=address, spark=spark
            )
            code = await run_sync(_submit, wanted, root, hadoop)
            application = await self._patiently(workspace)
            if application is None:
                await self._forget_rows(workspace)
                raise _refused(code, await run_sync(folder.tail, root / "submit.log"))
        return self._running(workspace, application)

    async def adopt(self, workspace: Workspace) -> Running | None:
        """Find the application of a workspace by its tag; see `Executor.adopt`."""
        root = workspace.root
        if not root.is_dir():
            return None
        async with alone(root / "start.lock"):
            if (root / "outcome.json").exists() or (root / "application.json").exists():
                return Running(workspace=workspace, identity=folder.read(root / "application.json") or {})
            if (root / "started.json").exists():
                await _submitted(root)
                application = await self._patiently(workspace)
                if application is not None:
                    return self._running(workspace, application)
            (root / "abandoned").touch()
            await self._forget_rows(workspace)
        return None

    async def wait(self, running: Running) -> Outcome:
        """Wait until the application is over and its results are in the workspace; see `Executor.wait`."""
        workspace, root = running.workspace, running.workspace.root
        while (kept := folder.read(root / "outcome.json")) is None:
            application = await self._over(workspace, running)
            async with alone(root / "end.lock"):
                if not (root / "outcome.json").exists():
                    outcome = await self._end(workspace, application)
                    folder.write(root / "outcome.json", {**asdict(outcome), "state": outcome.state.value})
        return Outcome(**{**kept, "state": RunState(kept["state"])})

    async def stop(self, running: Running, *, grace: float) -> None:
        """Kill the application; those of its slots that hear of a cancel have ended before; see `Executor.stop`."""
        workspace, root = running.workspace, running.workspace.root
        if (root / "outcome.json").exists():
            return
        folder.write(root / "stop", {"grace": grace})
        with anyio.move_on_after(grace):
            await self._over(workspace)
            return
        application = await self._patiently(workspace)
        if application is not None and not application.is_over:
            await self._manager(await self._hadoop()).kill(application.id)
        with anyio.move_on_after(KILL_SECONDS):
            await self._over(workspace)
            return
        raise ExecutionFailed(f"the application of {root.name} cannot be ended", reason="LOST")

    async def tidy(self, attempts: Attempts) -> None:
        """Kill the applications of this data directory whose attempt is over; see `Executor.tidy`."""
        if not (self._settings.home / "home.id").exists():
            return
        hadoop = await self._hadoop()
        manager = self._manager(hadoop)
        home = await run_sync(home_id, self._settings.home)
        for each in await manager.tagged(f"lineage-home-{home}", alive=True):
            run, attempt = _tagged(each, "lineage-run-"), _tagged(each, "lineage-attempt-")
            if run and attempt and int(attempt) < (await attempts([run])).get(run, 0):
                await manager.kill(each.id)

    async def logs(self, running: Running, offset: int) -> tuple[str, int]:
        """A piece of the log; see `Executor.logs`."""
        return await run_sync(folder.piece, running.workspace.root / "log", offset)

    async def _keep_log(self, root: Path, application: Application, end: dict[str, Any] | None) -> None:
        """Put into the log what failed containers have printed: executors', and the driver's where it failed itself.

        The token is none of it.
        """
        manager, words = self._manager(await self._hadoop()), []
        for each in ((end or {}).get("lost") or [])[:LOST_SHOWN]:
            printed = await manager.container_log(str(each.get("logs") or ""))
            words.append(f"executor {each.get('executor')} was lost: {each.get('reason')}\n{printed}\n")
        if end is None:  # the driver died before it could say anything, and its executors with it
            for id, place in list((folder.read(root / "containers.json") or {}).items())[:LOST_SHOWN]:
                printed = await manager.container_log(place)
                words.append(f"{id} of the application ended with it:\n{printed}\n" if printed else "")
        if end is None or "error" in end:
            printed = await manager.container_log(application.logs)
            words.append(f"{application.id}: {application.diagnostics}\n{printed}")
        token = str(((folder.read(root / "job.json") or {}).get("protocol") or {}).get("token") or "")
        text = "".join(words)
        await run_sync(_append, root / "log", text.replace(token, "***") if token else text)

    def _pack(self, workspace: Workspace, staging: Staging) -> Path:
        """The workspace as it goes to the cluster; rows to be scored go ahead of it."""
        name = submission.results(workspace)
        rows: dict[str, Any] | None = None
        files, is_computed = self._settings.spark_executors * TASKS_EACH, submission.is_computed(workspace.root)
        if is_computed:
            rows = {"files": files, "largest": batch.LARGEST}
        if submission.is_native(workspace):
            if not is_computed:
                staging.put(workspace.root / "data", f"{name}/data")
            return submission.pack(workspace, self._settings.cancel_grace, batch=rows, place=staging.address(name))
        if submission.is_spread(workspace) and not is_computed:
            source, target = workspace.root / submission.ROWS, workspace.root / "rows"
            features = (folder.read(workspace.root / "job.json") or {})["features"]
            rows = batch.cut(source, features, target, files=files)
            rows["rows"] = staging.put(target, f"{name}/rows")
            shutil.rmtree(target)
        return submission.pack(workspace, self._settings.cancel_grace, batch=rows)

    async def _forget_rows(self, workspace: Workspace) -> None:
        """Take rows away that went ahead of work which nobody will do."""
        if submission.is_spread(workspace) or submission.is_native(workspace):
            staging = Staging(self._settings, await self._hadoop())
            await run_sync(staging.remove, submission.results(workspace))

    async def _hadoop(self) -> Hadoop:
        if self._found is None:  # asking Java what it has takes a while
            self._found = await run_sync(Hadoop.of, self._settings)
        return self._found

    def _manager(self, hadoop: Hadoop) -> Manager:
        return Manager(hadoop.managers, user=os.environ.get("HADOOP_USER_NAME") or self._settings.user)

    def _running(self, workspace: Workspace, application: Application) -> Running:
        running = Running(workspace=workspace, message=application.waits_for)
        self._known(running, application)
        return running

    def _known(self, running: Running, application: Application) -> None:
        """Note where YARN shows the application; it may have no address yet when it was just submitted."""
        known = {"application": application.id, "tracking_url": application.tracking_url}
        if known != running.identity:
            folder.write(running.workspace.root / "application.json", known)
            running.identity = known

    async def _find(self, workspace: Workspace, hadoop: Hadoop) -> Application | None:
        manager, known = self._manager(hadoop), folder.read(workspace.root / "application.json")
        if known:
            return await manager.application(str(known["application"]))
        found = await manager.tagged(submission.tag(workspace))
        return found[0] if found else None

    async def _patiently(self, workspace: Workspace) -> Application | None:
        """The application, asked for again while the ResourceManager is away."""
        hadoop, patience = await self._hadoop(), Patience(AWAY_SECONDS)
        while True:
            try:
                return await self._find(workspace, hadoop)
            except ExecutionFailed as error:
                await patience.spend(error)

    async def _over(self, workspace: Workspace, running: Running | None = None) -> Application | None:
        """Wait until the application is over; None when the ResourceManager has forgotten it."""
        began, (least, most), looked = time.monotonic(), POLL_SECONDS, 0.0
        while True:
            application = await self._patiently(workspace)
            if application is None or application.is_over:
                return application
            if running is not None:
                running.message = application.waits_for
                self._known(running, application)
                if application.state == "RUNNING" and time.monotonic() - looked > LOOK_SECONDS:
                    await self._note_containers(workspace.root, application)
                    looked = time.monotonic()
            await anyio.sleep(min(max(least, (time.monotonic() - began) / 50), most))

    async def _note_containers(self, root: Path, application: Application) -> None:
        """Note where its executors' logs are shown, since YARN forgets them when the application ends."""
        with suppress(ExecutionFailed):  # noted at the next look
            found = await self._manager(await self._hadoop()).containers(application)
            if found and found != folder.read(root / "containers.json"):
                folder.write(root / "containers.json", found)

    async def _end(self, workspace: Workspace, application: Application | None) -> Outcome:
        """How it ended: by its own results where there are some, and else by YARN's word."""
        root, name = workspace.root, submission.results(workspace)
        staging = Staging(self._settings, await self._hadoop())
        end = await run_sync(results.collect, root, name, staging)
        await run_sync(staging.remove, name)
        if application is not None and (end is None or "error" in end or end.get("lost")):
            await self._keep_log(root, application, end)
        image = workspace.prepared.image
        if application is not None and end is None and image and image in application.diagnostics:
            await run_sync(staging.remove, image.removeprefix(f"{staging.root}/"))  # no node can unpack it
        tail, asked = await run_sync(folder.tail, root / "log"), (root / "stop").exists()
        if end is None or "error" in end:
            return _of_yarn(application, asked=asked, tail=tail, said=(end or {}).get("error"))
        return outcomes.judge(
            end,
            is_tuning=(folder.read(root / "job.json") or {}).get("mode") == "tune",
            is_whole=folder.is_file(root / "out" / "manifest.json"),
            was_asked=asked,
            limits=asdict(workspace.limits),
            tail=tail,
        )


def _submit(wanted: list[str], root: Path, hadoop: Hadoop) -> int:
    """Run spark-submit, which holds the lock from here on, whatever becomes of this process."""
    with (root / "submit.lock").open("a") as lock, (root / "submit.log").open("ab") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        child = subprocess.Popen(
            wanted,
            cwd=root,
            env=hadoop.environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
        try:
            return child.wait(SUBMIT_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


async def _submitted(root: Path) -> None:
    """Wait until nobody submits there any more: the kernel frees the lock of the dead."""
    with (root / "submit.lock").open("a") as lock:
        while True:
            if _is_free(lock):
                return
            await anyio.sleep(POLL_SECONDS[0])


def _append(path: Path, text: str) -> None:
    with path.open("a") as log:
        log.write(text)


def _is_free(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refused(code: int, said: str) -> ExecutionFailed:
    lines = [line for line in said.splitlines() if "Exception" in line or "Error" in line or "ERROR" in line]
    words = " / ".join(lines[-3:]) or said[-500:]
    return ExecutionFailed(f"spark-submit ended with {code}: {words}", reason="ENVIRONMENT", log_tail=said)


def _of_yarn(application: Application | None, *, asked: bool, tail: str, said: str | None = None) -> Outcome:
    """The outcome of an application that left no results."""
    if asked:
        return Outcome(state=RunState.CANCELED, reason="CANCELED", message="it was asked to stop", log_tail=tail)
    if application is None:
        return Outcome(state=RunState.LOST, reason="LOST", message="YARN has forgotten the application", log_tail=tail)
    words = said or application.diagnostics or f"it ended as {application.final_status} and left no results"
    is_killed, is_memory = application.state == "KILLED", any(each in words for each in MEMORY)
    reason = "YARN_OOM" if is_memory else "KILLED" if is_killed else "YARN"
    short = words if len(words) <= WORDS else f"{words[: WORDS // 2]}\n…\n{words[-WORDS // 2 :]}"
    message = f"{application.id}: {short}"
    return Outcome(state=RunState.FAILED, reason=reason, message=message, log_tail=tail or words)


def _tagged(application: Application, prefix: str) -> str | None:
    return next((each.removeprefix(prefix) for each in application.tags if each.startswith(prefix)), None)
