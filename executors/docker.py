"""The executor `docker`: an image per Environment, and a container for each slot, shut off from all but its work.

A container does many trials. Its name follows from its workspace, so the daemon itself sees to it that no two workers
start the same work; what must outlive the worker stands in the workspace, out of the work's reach.
"""

import signal
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from executors import folder, outcomes
from executors.alone import alone
from executors.base import Attempts, Log, Prepared, Running, Workspace
from executors.containers import fleet, images, launch
from executors.containers.engine import Engine
from executors.containers.fleet import Fleet
from executors.containers.watch import AWAY_SECONDS, Watch
from lineage.artifacts import Artifact
from lineage.errors import Conflict, ExecutionFailed, NotFound
from lineage.runs import Outcome
from lineage.settings import Settings

POLL_SECONDS = 0.2
FORCE_SECONDS = 30.0  # for the daemon to end a container by force


class DockerExecutor:
    """Runs workspaces as containers of the daemon that DOCKER_HOST names, or this machine's."""

    wants_socket = True
    materialises = False

    def __init__(self, settings: Settings) -> None:
        self._settings, self._engine = settings, Engine()

    async def prepare(self, environment: Artifact, lock: str, *, log: Log) -> Prepared:
        """Build the image unless it is there; see `Executor.prepare`. A daemon that is just away is waited for."""
        if self._engine.has_answered:
            await fleet.patient(self._engine, AWAY_SECONDS)
        if environment.body.get("language", "python") != "python":
            return await self._foreign(environment)
        built = await images.build(environment, lock, settings=self._settings, log=log, engine=self._engine)
        return Prepared(python=Path(built.python), image=built.id, artifact=built.artifact, edges=built.edges)

    async def start(self, workspace: Workspace) -> Running:
        """Start a container for each slot; see `Executor.start`."""
        root, containers = workspace.root, Fleet(self._engine, workspace)
        async with alone(root / "start.lock"):
            if (root / "abandoned").exists() or (root / "started.json").exists():
                raise Conflict(f"work was started in {root.name} before; a new attempt needs a new workspace")
            await run_sync(launch.lay_out, workspace)
            folder.write(root / "started.json", {"at": time.time()})
            try:
                await containers.bring_up(await self._home())
            except (NotFound, ExecutionFailed) as error:
                reason = "UNAVAILABLE" if getattr(error, "reason", "") == "UNAVAILABLE" else "ENVIRONMENT"
                if reason == "ENVIRONMENT":
                    await containers.remove()
                raise ExecutionFailed(f"the work cannot be started: {error}", reason=reason) from error
        return Running(workspace=workspace)

    async def adopt(self, workspace: Workspace) -> Running | None:
        """Find the containers of a workspace, or how they ended; see `Executor.adopt`."""
        root = workspace.root
        if not root.is_dir():
            return None
        async with alone(root / "start.lock"):
            if not (root / "started.json").exists():
                (root / "abandoned").touch()
                return None
            if not (root / "exit.json").exists():  # whoever started it may have died in the midst of that
                await fleet.patient(self._engine, AWAY_SECONDS)
                await Fleet(self._engine, workspace).bring_up(await self._home())
        return Running(workspace=workspace)

    async def wait(self, running: Running) -> Outcome:
        """Wait until every container has ended and its log is in the workspace; see `Executor.wait`."""
        workspace, root = running.workspace, running.workspace.root
        watch = Watch(self._engine, workspace, grace=self._settings.cancel_grace)
        while (end := folder.read(root / "exit.json")) is None:
            await watch.look()
            if watch.is_over:
                folder.write(root / "exit.json", watch.end())
            else:
                await anyio.sleep(POLL_SECONDS)
        with suppress(ExecutionFailed):  # how it ended is known; `tidy` comes back for what is left
            await Fleet(self._engine, workspace).remove()
        return outcomes.judge(
            end,
            is_tuning=(folder.read(root / "job.json") or {}).get("mode") == "tune",
            is_whole=folder.is_file(root / "out" / "manifest.json"),
            was_asked=(root / "stop").exists(),
            limits=asdict(workspace.limits),
            tail=await run_sync(folder.tail, root / "log"),
        )

    async def stop(self, running: Running, *, grace: float) -> None:
        """Ask every container to end, and end by force those that do not; see `Executor.stop`."""
        root, containers = running.workspace.root, Fleet(self._engine, running.workspace)
        if (root / "exit.json").exists():
            return
        folder.write(root / "stop", {"grace": grace})
        await fleet.patient(self._engine, AWAY_SECONDS)
        for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, FORCE_SECONDS)):
            await containers.send(number)
            with anyio.move_on_after(seconds):
                await containers.ended()
                return
        raise ExecutionFailed(f"the containers of {root.name} cannot be ended", reason="LOST")

    async def logs(self, running: Running, offset: int) -> tuple[str, int]:
        """A piece of the log, as `wait` has carried it over; see `Executor.logs`."""
        return await run_sync(folder.piece, running.workspace.root / "log", offset)

    async def tidy(self, attempts: Attempts) -> None:
        """Remove the containers of this data directory whose attempt is over; see `Executor.tidy`."""
        filters = {"label": f"{launch.LABEL_HOME}={await self._home()}"}
        found = await self._engine.ask(lambda client: client.api.containers(all=True, filters=filters))
        labels = {each["Id"]: each["Labels"] for each in found if launch.LABEL_ATTEMPT in each["Labels"]}
        present = await attempts(sorted({each[launch.LABEL_RUN] for each in labels.values()}))
        for id, each in labels.items():
            if int(each[launch.LABEL_ATTEMPT]) < present.get(each[launch.LABEL_RUN], 0):
                await fleet.remove(self._engine, id)

    async def _foreign(self, environment: Artifact) -> Prepared:
        """An environment of another language: an image that is there, and a command that speaks the run protocol."""
        image, command = environment.body.get("base_image"), tuple(environment.body.get("command") or ())
        if not image or not command:
            message = f"an environment for {environment.body.get('language')} needs a base_image and a command"
            raise ExecutionFailed(message, reason="ENVIRONMENT")
        found = await images.inspect(self._engine, str(image))
        if found is None:
            raise ExecutionFailed(f"there is no image {image} on the daemon: pull it first", reason="ENVIRONMENT")
        return Prepared(python=Path(command[0]), image=str(found["Id"]), command=command)

    async def _home(self) -> str:
        return await run_sync(launch.home_id, self._settings.home)
