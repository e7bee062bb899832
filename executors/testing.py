"""The contract of executors as tests, for ours and anybody's: subclass `ExecutorContract`, give it an `executor`."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from executors.base import Executor, Limits, Prepared, Running, Workspace
from executors.exchange import Bench
from lineage.errors import Conflict
from lineage.runs import RunState

S = RunState
MEBIBYTE = 1024 * 1024

LOGISTIC = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

def build(params):
    return make_pipeline(StandardScaler(), LogisticRegression(**params))
"""

FOREST = """
from sklearn.ensemble import RandomForestClassifier

def build(params):
    return RandomForestClassifier(n_estimators=5)
"""

TRAIN = """
from sklearn.linear_model import SGDClassifier

def train(run):
    frame = run.data("train")
    model = SGDClassifier(loss="log_loss", random_state=run.seed, **run.params)
    for step in range(5):
        model.partial_fit(frame[run.features], frame[run.label], classes=[0, 1])
        run.report(step, step / 10)
    run.log(epochs=5)
    run.save(model)
"""

FORKING = """
import os, subprocess, sys, time

CHILD = "import time\\nwhile True: open('out/alive', 'a').write('x'); time.sleep(0.05)"

def build(params):
    child = subprocess.Popen([sys.executable, "-c", CHILD], start_new_session=True)
    print("child", child.pid, flush=True)
    time.sleep(600)
"""


def calling(body: str) -> str:
    """Model code whose build does *body*."""
    return f"import os, sys, time\n\ndef build(params):\n    {body}\n"


async def until(true: Callable[[], Any], seconds: float = 60) -> Any:
    """Wait for something to become true, and return it."""
    with anyio.fail_after(seconds):
        while True:
            found = true()
            if found:
                return found
            await anyio.sleep(0.05)


async def whole_log(executor: Executor, workspace: Workspace) -> str:
    """The log from its beginning, read in pieces."""
    running = await executor.adopt(workspace)
    assert running is not None
    text, offset = "", 0
    while True:
        piece, offset = await executor.logs(running, offset)
        if not piece:
            return text
        text += piece


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def is_gone(pid: int) -> bool:
    """Whether a process has ended, if only as far as a zombie."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class ExecutorContract:
    """What every executor does alike. A subclass provides the fixture `executor`, and may override `prepared`."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def prepared(self) -> Prepared:
        """An environment with pandas, pyarrow, scikit-learn and skops: the tests' own."""
        return Prepared(python=Path(sys.executable))

    @pytest.fixture
    def bench(self, tmp_path: Path, prepared: Prepared) -> Any:
        """Workspaces with real data, and the other end of the run protocol."""
        with Bench(tmp_path, prepared) as bench:
            yield bench

    def alive(self, running: Running) -> Path | None:
        """The file to which the child of FORKING adds as long as it lives; an executor may have it elsewhere."""
        path = running.workspace.root / "out" / "alive"
        return path if path.exists() else None

    async def test_fit(self, executor: Executor, bench: Bench) -> None:
        """A fit leaves a model, predictions of the held-out splits, what was seen, and a manifest that agrees."""
        workspace = bench.fit(LOGISTIC, params={"C": 0.5})

        outcome = await executor.wait(await executor.start(workspace))

        assert S.SUCCEEDED == outcome.state, outcome
        out = workspace.root / "out"
        files = {each["path"]: each["sha256"] for each in json.loads((out / "manifest.json").read_text())["files"]}
        names = ["info.json", "model.skops", "predictions/test.parquet", "predictions/validate.parquet"]
        assert names == sorted(files)
        assert files == {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in files}
        info = json.loads((out / "info.json").read_text())
        assert [0, 1] == info["classes"]
        assert info["metrics"]["test"]["roc_auc"] > 0.95
        assert "scikit-learn" in info["packages"]

    async def test_same_run_same_model(self, executor: Executor, bench: Bench) -> None:
        """The same code, data, values and seed give the same predictions."""
        ends = []
        for _ in range(2):
            workspace = bench.fit(FOREST)
            assert S.SUCCEEDED == (await executor.wait(await executor.start(workspace))).state
            ends.append((workspace.root / "out" / "predictions" / "test.parquet").read_bytes())

        assert ends[0] == ends[1]

    async def test_tune(self, executor: Executor, bench: Bench) -> None:
        """Slots share the trials; one that raises is told as failed with its last lines, and the others go on."""
        code = LOGISTIC.replace("return", "if params['C'] < 0: raise ValueError('negative!')\n    return")
        workspace = bench.tune(code, [{"C": 0.1}, {"C": -1.0}, {"C": 1.0}, {"C": 10.0}], slots=2)

        outcome = await executor.wait(await executor.start(workspace))

        assert S.SUCCEEDED == outcome.state, outcome
        told = bench.exchange.told
        assert ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"] == [told[number]["state"] for number in range(4)]
        assert all(told[number]["value"] > 0.9 for number in (0, 2, 3))
        assert "ValueError: negative!" in told[1]["error"]

    async def test_train_contract(self, executor: Executor, bench: Bench) -> None:
        """`train(run)` reports steps, hears that it is pruned, and is scored on what it saved."""
        bench.exchange.prune = {1: 2}
        workspace = bench.tune(TRAIN, [{"alpha": 0.01}, {"alpha": 0.1}], contract="train")

        outcome = await executor.wait(await executor.start(workspace))

        assert S.SUCCEEDED == outcome.state, outcome
        assert ["COMPLETE", "PRUNED"] == [bench.exchange.told[number]["state"] for number in range(2)]
        assert [0, 1, 2, 3, 4] == bench.exchange.steps(0)
        assert [0, 1, 2] == bench.exchange.steps(1)
        assert 5.0 == bench.exchange.told[0]["metrics"]["epochs"]

    @pytest.mark.parametrize(
        ("body", "reason", "said"),
        [
            ("raise ValueError('no such thing')", "USER_CODE", "ValueError: no such thing"),
            ("sys.exit(0)", "USER_CODE", "sys.exit(0)"),
            ("os._exit(0)", "USER_CODE", "exit code 0"),
            ("os.abort()", "USER_CODE", "SIGABRT"),
            ("import not_to_be_had", "ENVIRONMENT", "'not_to_be_had'"),
            ("return 42", "USER_CODE", "no fit and predict"),
        ],
    )
    async def test_bad_code(self, executor: Executor, bench: Bench, body: str, reason: str, said: str) -> None:
        """Code that fails, in whatever way, is a verdict with a reason and words to go by."""
        outcome = await executor.wait(await executor.start(bench.fit(calling(body))))

        assert (S.FAILED, reason) == (outcome.state, outcome.reason), outcome
        assert said in (outcome.message or "")

    async def test_bad_job(self, executor: Executor, bench: Bench) -> None:
        """A job that names what is not there cannot be done, and says what."""
        outcome = await executor.wait(await executor.start(bench.fit(LOGISTIC, label="no_such_column")))

        assert (S.FAILED, "INVALID_INPUT") == (outcome.state, outcome.reason)
        assert "no_such_column" in (outcome.message or "")

    async def test_run_timeout(self, executor: Executor, bench: Bench) -> None:
        """Code that hangs, and ignores being asked, is ended when its time is over; its last lines are kept."""
        hangs = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
        code = calling(f"{hangs}; print('hanging', flush=True); time.sleep(600)")
        workspace = bench.fit(code, limits=Limits(seconds=8))  # for a busy machine to come to it

        outcome = await executor.wait(await executor.start(workspace))

        assert (S.TIMED_OUT, "TIMEOUT") == (outcome.state, outcome.reason), outcome
        assert "hanging\n" in outcome.log_tail

    async def test_memory_limit(self, executor: Executor, bench: Bench) -> None:
        """Code that wants more memory than it may have ends as OOM, in one piece or bit by bit, with its last lines."""
        for body in ("b'x' * 8_000_000_000", "held = []\n    while True: held.append(b'x' * 1_000_000)"):
            code = calling(f"print('hungry', flush=True)\n    {body}")
            workspace = bench.fit(code, limits=Limits(memory_bytes=400 * MEBIBYTE, seconds=60))

            outcome = await executor.wait(await executor.start(workspace))

            assert (S.FAILED, "OOM") == (outcome.state, outcome.reason), outcome
            assert "hungry\n" in outcome.log_tail

    async def test_log_is_capped(self, executor: Executor, bench: Bench) -> None:
        """Of a log without end, head and tail are kept, with a line on what lies between."""
        body = "print('first'); [sys.stdout.write('x' * 1_000_000) for _ in range(50)]; print('\\nlast')"
        workspace = bench.fit(calling(body), limits=Limits(log_bytes=100_000))

        await executor.wait(await executor.start(workspace))

        log = await whole_log(executor, workspace)
        assert "first" in log[:2000]
        assert "last" in log[-5000:]
        assert "left out" in log
        assert len(log) < 110_000

    async def test_secrets_stay_out(self, executor: Executor, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """The worker's secrets are not in the environment of the work, nor the run's token in its log."""
        for name in ("LINEAGE_NEO4J_PASSWORD", "LINEAGE_TOKEN", "AWS_SECRET_ACCESS_KEY", "SOME_PAT"):
            monkeypatch.setenv(name, "canary-1234")
        body = "import json; print(dict(os.environ), json.load(open('job.json'))['protocol']); return None"
        workspace = bench.fit(calling(body))

        await executor.wait(await executor.start(workspace))

        log = await whole_log(executor, workspace)
        assert "'PATH'" in log
        assert "canary-1234" not in log
        assert bench.exchange.token not in log

    async def test_stop(self, executor: Executor, bench: Bench) -> None:
        """Stopping ends everything that was started, children that went their own way included."""
        workspace = bench.fit(FORKING)
        running = await executor.start(workspace)
        alive = await until(lambda: self.alive(running))

        await executor.stop(running, grace=1)

        size = _size(alive)
        await anyio.sleep(0.5)
        assert size == _size(alive)
        assert S.CANCELED == (await executor.wait(running)).state
        await executor.stop(running, grace=1)  # stopping what is over does nothing

    async def test_cancel_is_heard(self, executor: Executor, bench: Bench) -> None:
        """Work that hears at its beat that the run was cancelled ends by itself, and leaves no results."""
        workspace = bench.fit(calling("time.sleep(600)"))
        running = await executor.start(workspace)
        await until(lambda: bench.exchange.beats)

        bench.exchange.is_canceled = True

        assert S.CANCELED == (await executor.wait(running)).state
        assert not (workspace.root / "out" / "manifest.json").exists()

    async def test_stale_work_ends(self, executor: Executor, bench: Bench) -> None:
        """Work whose token was rotated ends by itself as LOST: another attempt has its place."""
        workspace = bench.fit(calling("time.sleep(600)"))
        running = await executor.start(workspace)
        await until(lambda: bench.exchange.beats)

        bench.exchange.is_stale = True

        assert S.LOST == (await executor.wait(running)).state

    async def test_api_goes_away(self, executor: Executor, bench: Bench) -> None:
        """While the API does not answer the work asks again, and loses nothing."""
        bench.exchange.refuse = 4
        workspace = bench.tune(LOGISTIC, [{"C": 0.1}, {"C": 1.0}])

        outcome = await executor.wait(await executor.start(workspace))

        assert S.SUCCEEDED == outcome.state, outcome
        assert {"COMPLETE"} == {each["state"] for each in bench.exchange.told.values()}

    async def test_adopt(self, executor: Executor, bench: Bench) -> None:
        """Whoever knows the workspace finds the work, running or ended, and hears the same of its end."""
        workspace = bench.fit(calling("time.sleep(1)\n    raise ValueError('over')"))
        first = await executor.start(workspace)

        second = await executor.adopt(workspace)
        assert second is not None
        outcome = await executor.wait(second)
        third = await executor.adopt(workspace)

        assert third is not None
        assert outcome == await executor.wait(first) == await executor.wait(third)
        assert "ValueError: over" in (outcome.message or "")

    async def test_nothing_to_adopt(self, executor: Executor, bench: Bench) -> None:
        """Where nothing was started there is nothing to adopt, and nothing comes to life there later."""
        workspace = bench.fit(LOGISTIC)

        assert await executor.adopt(workspace) is None
        with pytest.raises(Conflict):
            await executor.start(workspace)

    async def test_started_once(self, executor: Executor, bench: Bench) -> None:
        """Starting twice in one workspace is refused, and the first goes on."""
        workspace = bench.fit(calling("time.sleep(1)\n    raise ValueError('first')"))
        running = await executor.start(workspace)

        with pytest.raises(Conflict):
            await executor.start(workspace)

        assert "ValueError: first" in ((await executor.wait(running)).message or "")

    async def test_predict(self, executor: Executor, bench: Bench) -> None:
        """A model that was fitted predicts elsewhere as it did at home; one that was changed is not even opened."""
        fitted = bench.fit(LOGISTIC)
        await executor.wait(await executor.start(fitted))
        model = fitted.root / "out" / "model.skops"
        workspace = bench.predict(model)

        assert S.SUCCEEDED == (await executor.wait(await executor.start(workspace))).state

        expected = (fitted.root / "out" / "predictions" / "test.parquet").read_bytes()
        assert expected == (workspace.root / "out" / "predictions.parquet").read_bytes()
        changed = bench.predict(model, sha256="0" * 64)
        outcome = await executor.wait(await executor.start(changed))
        assert (S.FAILED, "INVALID_INPUT") == (outcome.state, outcome.reason)
