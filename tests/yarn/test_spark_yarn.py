"""The executor `spark_yarn` on a real ResourceManager, NodeManager and HDFS: its contract, deaths, and whole runs.

All in one file, so that one process of pytest does it all with one cluster; see conftest.py for what is left out.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pandas as pd
import psutil
import pytest
import skops.io
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, r2_score, roc_auc_score, root_mean_squared_error

from executors.base import Executor, Prepared, Running, Workspace
from executors.exchange import FEATURES, Bench
from executors.spark_yarn import SparkYarnExecutor
from executors.spark_yarn.hadoop import Hadoop
from executors.spark_yarn.manager import Application, Manager
from executors.spark_yarn.staging import Staging
from executors.spark_yarn.submission import ROWS, results, tag
from executors.testing import LOGISTIC, ExecutorContract, calling, until
from lineage.artifacts import Artifact, ArtifactKind
from lineage.client import Run
from lineage.errors import InvalidInput
from lineage.runs import RunState
from lineage.settings import Settings
from tests.e2e.worlds import World, running
from tests.executors.containers.conftest import Said
from tests.executors.tls import terminating
from tests.yarn import sparkml
from tests.yarn.cluster import Cluster

pytestmark = [pytest.mark.yarn, pytest.mark.timeout(900)]
S = RunState
STARTED = 400  # seconds: the first application of a cluster has its environment unpacked on the node
CODE = """
import time
from sklearn.linear_model import LogisticRegression


def build(params):
    time.sleep(2)
    return LogisticRegression(C=params["C"], max_iter=5000)
"""
WHERE = "id % 2 = 0"  # of the rows of a batch
SHARED = ("hadoop_conf_dir", "spark_home", "spark_properties", "spark_driver_memory", "yarn_queue")


@pytest.fixture
def executor(yarn_settings: Settings) -> SparkYarnExecutor:
    """The executor of one worker; another worker has another."""
    return SparkYarnExecutor(yarn_settings)


@pytest.fixture
def bench(tmp_path: Path, prepared: Prepared) -> Iterator[Bench]:
    """Workspaces with real data, and the other end of the run protocol."""
    with Bench(tmp_path, prepared) as bench:
        yield bench


@pytest.fixture
def manager(yarn_settings: Settings) -> Manager:
    """The ResourceManager."""
    return Manager(Hadoop.of(yarn_settings).managers, user="root")


async def one(manager: Manager, workspace: Workspace) -> Application:
    """The one application of a workspace."""
    (found,) = await manager.tagged(tag(workspace))
    return found


def java(words: str, application: str) -> list[psutil.Process]:
    """The Java processes of an application with *words* in their command."""
    found = []
    for each in psutil.process_iter(["name", "cmdline"]):
        command = " ".join(each.info["cmdline"] or ())
        if each.info["name"] == "java" and words in command and application in command:
            found.append(each)
    return found


@pytest.mark.anyio
async def test_the_application_is_adopted_and_killed(
    executor: SparkYarnExecutor, bench: Bench, manager: Manager, yarn_settings: Settings
) -> None:
    """One that was submitted and never noted is found by its tag; killed, it is a failure with YARN's own word."""
    workspace = bench.fit(calling("time.sleep(600)"))
    await executor.start(workspace)
    (workspace.root / "application.json").unlink()  # as if the worker had died before it wrote it down

    running = await SparkYarnExecutor(yarn_settings).adopt(workspace)
    assert running is not None
    await until(lambda: bench.exchange.beats, STARTED)
    await manager.kill((await one(manager, workspace)).id)
    outcome = await executor.wait(running)

    assert (S.FAILED, "KILLED") == (outcome.state, outcome.reason), outcome
    assert "was killed by user" in (outcome.message or "")
    assert outcome == await SparkYarnExecutor(yarn_settings).wait(running)


@pytest.mark.anyio
async def test_a_lost_executor_is_replaced(executor: SparkYarnExecutor, bench: Bench, manager: Manager) -> None:
    """Spark gives the slot of a killed executor to another, which asks for the very trial that was under way."""
    slow = LOGISTIC.replace("return", "import time; time.sleep(3)\n    return")
    workspace = bench.tune(slow, [{"C": 0.1}, {"C": 1.0}, {"C": 10.0}])
    running = await executor.start(workspace)
    await until(lambda: bench.exchange.told, STARTED)

    for each in java("YarnCoarseGrainedExecutorBackend", (await one(manager, workspace)).id):
        each.kill()
    outcome = await executor.wait(running)

    assert S.SUCCEEDED == outcome.state, outcome
    assert ["COMPLETE"] * 3 == [bench.exchange.told[number]["state"] for number in range(3)]
    log = (await executor.logs(running, 0))[0]
    assert "executor 1 was lost: " in log
    assert "INFO YarnCoarseGrainedExecutorBackend" in log


@pytest.mark.anyio
async def test_a_killed_master_is_a_failure(executor: SparkYarnExecutor, bench: Bench, manager: Manager) -> None:
    """When its ApplicationMaster dies the attempt has failed, with YARN's diagnostics, and no slot goes on."""
    workspace = bench.fit(calling("time.sleep(600)"))
    running = await executor.start(workspace)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(executor.wait, running)
        await until(lambda: bench.exchange.beats, STARTED)
        await until((workspace.root / "containers.json").exists)
        for each in java("ApplicationMaster", (await one(manager, workspace)).id):
            each.kill()
    outcome = await executor.wait(running)

    assert (S.FAILED, "YARN") == (outcome.state, outcome.reason), outcome
    assert "exited with" in (outcome.message or "")
    log = (await executor.logs(running, 0))[0]
    assert "INFO ApplicationMaster" in log
    assert "INFO YarnCoarseGrainedExecutorBackend" in log
    assert bench.exchange.token not in log


def batch(bench: Bench, path: Path, **given: Any) -> Workspace:
    """A workspace whose rows are spread over the cluster, with a model that is saved at *path*."""
    data = pd.read_parquet(bench.fit(LOGISTIC).root / "data" / "train.parquet")
    skops.io.dump(LogisticRegression(max_iter=5000).fit(data[list(FEATURES)], data["benign"]), path)
    workspace = bench.predict(path, **given)
    job = json.loads((workspace.root / "job.json").read_text())
    (workspace.root / "job.json").write_text(json.dumps({**job, "predict": {"data": {"rows": ROWS}}}))
    (workspace.root / "data" / "test.parquet").rename(workspace.root / ROWS)
    return workspace


@pytest.mark.anyio
async def test_a_model_that_was_changed(
    executor: SparkYarnExecutor, bench: Bench, tmp_path: Path, yarn_settings: Settings
) -> None:
    """A task that refuses the model says why, as one process does, and leaves no rows on the cluster."""
    workspace = batch(bench, tmp_path / "model.skops", sha256="0" * 64)

    outcome = await executor.wait(await executor.start(workspace))

    assert (S.FAILED, "INVALID_INPUT") == (outcome.state, outcome.reason), outcome
    assert "it was changed" in (outcome.message or "")
    staging = Staging(yarn_settings, Hadoop.of(yarn_settings))
    assert not staging.get(results(workspace), tmp_path / "left")


@pytest.mark.anyio
async def test_a_batch_is_canceled(executor: SparkYarnExecutor, bench: Bench, tmp_path: Path) -> None:
    """A batch that hears of a cancel at its beat ends its jobs, and leaves nothing to be used."""
    workspace = batch(bench, tmp_path / "model.skops")
    bench.exchange.is_canceled = True

    outcome = await executor.wait(await executor.start(workspace))

    assert S.CANCELED == outcome.state, outcome
    assert not (workspace.root / "out" / "predictions.parquet").exists()


@pytest.mark.anyio
async def test_a_full_queue(bench: Bench, manager: Manager, yarn_settings: Settings) -> None:
    """An application that gets no room waits, with YARN's word on why, and is killed when it is to stop."""
    executor = SparkYarnExecutor(replace(yarn_settings, yarn_queue="narrow"))
    workspace = bench.fit(calling("return None"))
    running = await executor.start(workspace)

    with anyio.move_on_after(5):  # for YARN to say why it waits
        await executor.wait(running)
    await executor.stop(running, grace=0.5)

    assert S.CANCELED == (await executor.wait(running)).state
    assert "is ACCEPTED: " in (running.message or "")
    assert "KILLED" == (await one(manager, workspace)).state
    assert 0 == bench.exchange.beats


@pytest.mark.anyio
async def test_a_corrupt_archive_is_mended(
    executor: SparkYarnExecutor, packed: tuple[Artifact, str], yarn_settings: Settings
) -> None:
    """Bytes of an archive that were changed are noticed before it is used, and fetched again from the store."""
    first = await executor.prepare(*packed, log=Said())
    path = yarn_settings.cache / "archives" / f"{packed[0].digest}.tar.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])

    assert first == await executor.prepare(*packed, log=Said())
    assert whole == path.read_bytes()


@pytest.mark.anyio
async def test_a_corrupt_archive_on_the_cluster(
    executor: SparkYarnExecutor, bench: Bench, prepared: Prepared, yarn_settings: Settings
) -> None:
    """An archive that no node can unpack fails with YARN's word on it, and is put there anew for the next attempt."""
    staging = Staging(yarn_settings, Hadoop.of(yarn_settings))
    name = f"environments/{'0' * 64}.tar.gz"
    spoiled = bench.root / "spoiled"
    spoiled.write_bytes(b"nothing that was ever packed")
    workspace = replace(bench.fit(LOGISTIC), prepared=replace(prepared, image=staging.put(spoiled, name)))

    outcome = await executor.wait(await executor.start(workspace))

    assert (S.FAILED, "YARN") == (outcome.state, outcome.reason), outcome
    assert "Failed to download resource" in (outcome.message or "")
    assert not staging.has(name)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, yarn_settings: Settings) -> Iterator[World]:
    """Everything running, with a worker that knows the cluster; what it starts speaks to the API over TLS alone."""
    given = {name: str(asdict(yarn_settings)[name]) for name in SHARED}
    with (
        terminating(tmp_path_factory.mktemp("tls")) as proxy,
        running(
            tmp_path_factory.mktemp("world"), CODE, url=proxy.url, ca_bundle=str(proxy.authority), **given
        ) as world,
    ):
        proxy.behind = world.client.url or ""
        yield world
        assert proxy.connections


def tags_of(cluster: Cluster, run: Run) -> list[str]:
    """The tags of every application that a run has had."""
    tags = {"applicationTags": f"lineage-run-{run.id}"}
    found = httpx.get(f"{cluster.web}/ws/v1/cluster/apps", params=tags).raise_for_status().json()
    return [tag for each in found["apps"]["app"] for tag in each["applicationTags"].split(",")]


def seen(cluster: Cluster, run: Run) -> dict[str, str]:
    """What the ResourceManager says of a run's application."""
    answer = httpx.get(f"{cluster.web}/ws/v1/cluster/apps/{run.application}").raise_for_status()
    found: dict[str, str] = answer.json()["app"]
    return found


@pytest.fixture(scope="module")
def searched(world: World) -> Run:
    """A search whose trials were spread over two tasks, and whose worker died when the first of them had ended."""
    run = world.tune("spread", trials=4, executor="spark_yarn")
    world.wait_for(lambda: world.finished(run) > 0, STARTED)
    world.child("-m", "executors").kill()
    done = world.client.wait(run, check=False, timeout=800)
    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])
    return done


def test_a_search_over_the_api(world: World, cluster: Cluster, searched: Run) -> None:
    """A search over tasks outlives its worker, and leaves its model, its trials and its application in the graph."""
    done = searched
    assert "search: adopted from an earlier worker" in world.log(done)
    trials = world.client.trials(done)
    assert ["COMPLETE"] * 4 == [trial.state for trial in trials]
    assert 1 == done.attempt
    assert ["lineage-attempt-1"] * 2 == [tag for tag in tags_of(cluster, done) if tag.startswith("lineage-attempt")]
    model = done.made(ArtifactKind.MODEL)
    assert [] == [gap.message for gap in world.client.audit(model).gaps]
    found = seen(cluster, done)
    assert "SUCCEEDED" == found["finalStatus"]
    assert f"lineage-run-{done.id}" in found["applicationTags"].split(",")
    assert "trial 3" in world.log(done)


def test_a_batch_over_the_api(world: World, cluster: Cluster, searched: Run) -> None:
    """Rows that tasks have scored are those of one process; the worker's death makes no second application."""
    model = searched.made(ArtifactKind.MODEL)
    one = world.client.wait(world.client.score("batch", model, WHERE)).made(ArtifactKind.PREDICTIONS)
    run = world.client.score("batch", model, WHERE, executor="spark_yarn")
    folder = world.home / "runs" / run.id / "1" / "predict"
    world.wait_for((folder / "started.json").exists, STARTED)  # spark-submit starts, and has submitted nothing yet

    world.child("-m", "executors").kill()
    assert not (folder / "application.json").exists()
    done = world.client.wait(run, check=False, timeout=800)

    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])
    assert "adopted from an earlier worker" in world.log(done)
    assert "features of 285 rows computed on the cluster" in world.log(done)
    assert "rows scored by 4 tasks" in world.log(done)
    assert 1 == len([tag for tag in tags_of(cluster, run) if tag.startswith("lineage-attempt")])
    assert done.application is not None
    assert done.application in (done.tracking_url or "")
    assert 1.0 == done.progress
    spread = done.made(ArtifactKind.PREDICTIONS)
    assert [] == [gap.message for gap in world.client.audit(spread).gaps]
    assert [one.body[name] for name in ("rows", "columns")] == [spread.body[name] for name in ("rows", "columns")]
    rows, others = (pd.read_parquet(sparkml.stored(world, each.body["file"])) for each in (one, spread))
    pd.testing.assert_frame_equal(rows, others, rtol=0, atol=1e-12)


@pytest.mark.parametrize("how", ["killed", "dead"])
def test_a_lost_application_is_tried_again(world: World, cluster: Cluster, how: str) -> None:
    """An application that is killed, or whose driver dies, is a failed attempt with YARN's word; the next succeeds."""
    given = {name: world.inputs[name] for name in ("training_set", "environment", "metrics")}
    code = world.client.register_model_code("spread", world.code, "code.py:build")
    run = world.client.train(f"lost-{how}", model_code=code, **given, hyperparameters={"C": 1.0}, executor="spark_yarn")
    world.wait_for(lambda: bool(world.client.run(run).application), STARTED)
    application = world.client.run(run).application or ""
    world.wait_for(lambda: bool(java("ApplicationMaster", application)), STARTED)

    if how == "killed":
        address = f"{cluster.web}/ws/v1/cluster/apps/{application}/state"
        answer = httpx.put(address, params={"user.name": "somebody"}, json={"state": "KILLED"})
        assert answer.is_success, answer.text
    else:
        for each in java("ApplicationMaster", application):
            each.kill()
    done = world.client.wait(run, check=False, timeout=800)

    assert (RunState.SUCCEEDED, 2) == (done.state, done.attempt), (done.message, world.log(done)[-3000:])
    assert application != done.application
    assert ["lineage-attempt-1", "lineage-attempt-2"] == sorted(
        tag for tag in tags_of(cluster, done) if tag.startswith("lineage-attempt")
    )
    reason, said = {"killed": ("KILLED", "was killed by user somebody"), "dead": ("YARN", "exited with")}[how]
    assert f"attempt 1 is over ({reason}: {application}: " in world.log(done)
    assert said in world.log(done)
    assert [] == [gap.message for gap in world.client.audit(done.made(ArtifactKind.MODEL)).gaps]


@pytest.fixture(scope="module")
def native(world: World) -> Run:
    """A search on the cluster whose trials Spark ML fits, two at a time in one application."""
    given = {**world.inputs, "model_code": sparkml.code(world, "native", sparkml.CODE), "executor": "spark_yarn"}
    run = world.client.tune("native", trials=3, parallel=2, seed=1, **given)
    done = world.client.wait(run, check=False, timeout=800)
    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])
    return done


def test_spark_ml_over_the_api(world: World, native: Run) -> None:
    """Trials, model and evaluation are those of any search, and the values those of scikit-learn on the same rows."""
    assert ["COMPLETE"] * 3 == [trial.state for trial in world.client.trials(native)]
    model, measured = native.made(ArtifactKind.MODEL), native.made(ArtifactKind.EVALUATION).body
    assert ("spark", [False, True]) == (model.body["format"], model.body["classes"])
    assert [] == [gap.message for gap in world.client.audit(model, verify=True).gaps]
    assert {"roc", "precision_recall"} == set(measured["curves"])
    test = sparkml.split(world, "test")
    assert len(test) == measured["rows"] == sum(map(sum, measured["confusion_matrix"]["matrix"]))
    scores = sparkml.peer(sparkml.split(world, "train"), model).predict_proba(test[model.body["features"]])[:, 1]
    assert roc_auc_score(test["benign"], scores) == pytest.approx(measured["values"]["roc_auc"], abs=1e-3)
    assert log_loss(test["benign"], scores) == pytest.approx(measured["values"]["log_loss"], abs=1e-3)


def test_spark_ml_scores_rows(world: World, native: Run) -> None:
    """Rows are scored by Spark itself, each once and in order, as scikit-learn does; nowhere but on a cluster."""
    model = native.made(ArtifactKind.MODEL)
    with pytest.raises(InvalidInput, match="use the executor spark_yarn"):
        world.client.score("batch", model, WHERE)

    done = world.client.wait(world.client.score("natively", model, WHERE, executor="spark_yarn"), timeout=800)

    found = done.made(ArtifactKind.PREDICTIONS)
    assert [] == [gap.message for gap in world.client.audit(found).gaps]
    assert "computes the features" not in world.log(done)
    rows = pd.read_parquet(sparkml.stored(world, found.body["file"]))
    cells = pd.read_csv(world.code.with_name("cells.csv")).set_index("id").loc[rows["id"]]
    assert [*range(0, 569, 2)] == rows["id"].tolist()
    assert found.body["rows"] == len(rows)
    scores = sparkml.peer(sparkml.split(world, "train"), model).predict_proba(cells[model.body["features"]])[:, 1]
    assert sparkml.far(scores, rows["score"]) < 1e-3
    assert (rows["prediction"] == (rows["score"] > 0.5)).all()


def test_spark_ml_is_made_again(world: World) -> None:
    """A forest that is fitted again predicts the same; its bytes were seen to differ."""
    done = sparkml.trained(world, "again", sparkml.FOREST)
    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])

    model = done.made(ArtifactKind.MODEL)
    world.client.wait(world.client.reproduce(model), timeout=800)

    (found,) = world.client.reproductions(model)
    assert found.verdict in {"EQUAL", "EQUIVALENT"}, found


def test_spark_ml_with_a_strange_class(world: World) -> None:
    """A model that names a class of the user's own is not kept, and the message names it."""
    done = sparkml.trained(world, "strange", sparkml.STRANGE)

    assert (RunState.FAILED, "USER_CODE") == (done.state, done.reason)
    assert "types that this server does not allow: strange.Twice" in (done.message or "")


def test_spark_ml_tells_three_classes_apart(world: World) -> None:
    """Classes of text have a score each, a confusion matrix, and the values of scikit-learn's on the same rows."""
    training_set = sparkml.of_label(world, "size", sparkml.SIZE)
    done = sparkml.trained(world, "sizes", sparkml.SIZES, training_set=training_set)
    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])

    model, measured = done.made(ArtifactKind.MODEL), done.made(ArtifactKind.EVALUATION).body
    assert ["large", "middle", "small"] == model.body["classes"]
    train, test = (sparkml.split(world, name, training_set) for name in ("train", "test"))
    assert len(test) == measured["rows"] == sum(map(sum, measured["confusion_matrix"]["matrix"]))
    assert [3] * 3 == [len(row) for row in measured["confusion_matrix"]["matrix"]]
    found = sparkml.peer(train, model)
    scores = found.predict_proba(test[model.body["features"]])
    assert log_loss(test["size"], scores) == pytest.approx(measured["values"]["log_loss"], abs=1e-3)
    ranked = roc_auc_score(test["size"], scores, multi_class="ovr")
    assert ranked == pytest.approx(measured["values"]["roc_auc"], abs=1e-3)


def test_spark_ml_predicts_numbers(world: World) -> None:
    """A regression has the values of scikit-learn's on the same rows, and neither curves nor a confusion matrix."""
    metrics = [world.client.define_metric("rmse", threshold=1e6)]
    training_set = sparkml.of_label(world, "area", "cells.mean_area")
    done = sparkml.trained(world, "areas", sparkml.AREAS, training_set=training_set, metrics=metrics)
    assert RunState.SUCCEEDED == done.state, (done.message, world.log(done)[-3000:])

    model, measured = done.made(ArtifactKind.MODEL), done.made(ArtifactKind.EVALUATION).body
    train, test = (sparkml.split(world, name, training_set) for name in ("train", "test"))
    features = model.body["features"]
    said = LinearRegression().fit(train[features], train["area"]).predict(test[features])
    assert root_mean_squared_error(test["area"], said) == pytest.approx(measured["values"]["rmse"], rel=1e-6)
    assert r2_score(test["area"], said) == pytest.approx(measured["values"]["r2"], rel=1e-6)
    assert (None, {}) == (measured["confusion_matrix"], measured["curves"])


def fitting(world: World, name: str, rounds: int) -> Run:
    """A fit of Spark ML that is under way."""
    mark = world.home / f"{name}.mark"
    inputs = {name: value for name, value in world.inputs.items() if name != "search_space"}
    code = sparkml.code(world, name, sparkml.BOOSTED.format(mark=mark, rounds=rounds))
    given = {**inputs, "model_code": code, "hyperparameters": {}, "executor": "spark_yarn", "seed": 1}
    run = world.client.train(name, **given)
    world.wait_for(mark.exists, STARTED)
    time.sleep(3)  # the estimator is built by now, and its rounds have begun
    return run


def test_spark_ml_is_canceled(world: World, cluster: Cluster) -> None:
    """A fit in the midst of its rounds ends soon after a cancel, with its application, and leaves no model."""
    run = fitting(world, "canceled", 1000)

    world.client.cancel_run(run)
    done = world.client.wait(run, check=False, timeout=120)

    assert RunState.CANCELED == done.state
    assert "FINISHED" == seen(cluster, done)["state"] or "KILLED" == seen(cluster, done)["state"]
    assert () == done.generated


def test_spark_ml_survives_its_worker(world: World, cluster: Cluster) -> None:
    """A fit goes on while its worker is killed, and is adopted: one application, one attempt, one model."""
    run = fitting(world, "survivor", 25)

    world.child("-m", "executors").kill()
    done = world.client.wait(run, check=False, timeout=800)

    assert (RunState.SUCCEEDED, 1) == (done.state, done.attempt), (done.message, world.log(done)[-3000:])
    assert "adopted from an earlier worker" in world.log(done)
    assert 1 == len([tag for tag in tags_of(cluster, done) if tag.startswith("lineage-attempt")])
    assert [] == [gap.message for gap in world.client.audit(done.made(ArtifactKind.MODEL)).gaps]


class TestSparkYarn(ExecutorContract):
    """Applications of a cluster of one node."""

    @pytest.fixture
    def executor(self, yarn_settings: Settings) -> SparkYarnExecutor:
        """The executor on the session's cluster."""
        return SparkYarnExecutor(yarn_settings)

    @pytest.fixture
    def prepared(self, prepared: Prepared) -> Prepared:
        """The environment as the cluster has it."""
        return prepared

    @pytest.fixture(autouse=True)
    def node(self, cluster: Cluster) -> None:
        """The folders in which this cluster's node runs containers."""
        self.folder = cluster.configuration.parent / "local"

    def alive(self, running: Running) -> Path | None:
        """See `ExecutorContract.alive`: in the folder of a container."""
        application = str(running.identity.get("application"))
        return next(self.folder.glob(f"usercache/*/appcache/{application}/container_*/*-root/out/alive"), None)

    async def test_stop(self, executor: Executor, bench: Bench) -> None:
        """The same, and no process is left in what were the folders of containers."""
        await super().test_stop(executor, bench)

        left = [each for each in psutil.process_iter(["cwd"]) if str(each.info["cwd"]).startswith(str(self.folder))]
        assert [] == [each for each in left if "out/alive" in " ".join(each.cmdline())]
