"""A model served from a container without a network: asked over the Unix socket in its folder."""

from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from executors.base import Prepared, Workspace
from executors.containers.engine import Engine
from executors.containers.launch import LABEL_WORKSPACE, workspace_id
from executors.docker import DockerExecutor
from lineage import sockets
from tests.executors.scoring import fitted, rows, write_job

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


async def test_a_model_serves_from_a_container_without_a_network(
    docker_executor: DockerExecutor, tabular: Prepared, engine: Engine, tmp_path: Path
) -> None:
    """The container has no network and a read-only root, answers over its socket, and drains when it is stopped."""
    root = tmp_path / "serve"
    await anyio.to_thread.run_sync(write_job, root / "given", fitted())
    (root / "model").mkdir()
    (root / "given" / "model.skops").rename(root / "model" / "model.skops")
    text = (root / "given" / "job.json").read_text().replace('"path": "model.skops"', '"path": "model/model.skops"')
    (root / "job.json").write_text(text)
    workspace = Workspace(run_id="serve-test", generation=1, attempt=1, root=root, prepared=tabular)

    running = await docker_executor.start(workspace)
    try:
        address = str(root / "out" / "serve.sock")
        with anyio.fail_after(120):
            while not (root / "out" / "serve.sock").exists():  # noqa: ASYNC110  # a container tells in no other way
                await anyio.sleep(0.1)
        transport = httpx.AsyncHTTPTransport(uds=sockets.short(address))
        async with httpx.AsyncClient(transport=transport, base_url="http://replica", timeout=30) as client:
            records: Any = rows(5).to_dict(orient="records")
            answer = await client.post("/invocations", json={"dataframe_records": records})
        filters = {"label": f"{LABEL_WORKSPACE}={workspace_id(workspace)}"}
        found = await engine.ask(lambda client: client.api.containers(filters=filters))
        seen = await engine.ask(lambda client: client.api.inspect_container(found[0]["Id"])) if found else None
    finally:
        await docker_executor.stop(running, grace=10)
        await docker_executor.wait(running)  # which removes the container

    assert [] == await engine.ask(lambda client: client.api.containers(all=True, filters=filters))
    assert {"predictions": fitted().predict(rows(5)).tolist()} == answer.json()
    assert seen is not None
    held = seen["HostConfig"]
    assert ("none", True, ["ALL"]) == (held["NetworkMode"], held["ReadonlyRootfs"], held["CapDrop"])
    assert not (root / "out" / "serve.sock").exists()
