"""What parallel workers gain: one search with 1, 2 and 4 slots, beside Optuna's own `study.optimize`.

Both fit the same forests on the same Parquet files with the same version of scikit-learn, one thread each, with TPE.
`lineage` is a run of the executor `process` as a user starts it: through the API, every trial a node in Neo4j.
`optuna` is that many processes which share a study by its journal file and divide the trials among them, the usual way
to do this without a server. `search_s` is from the start of the first trial to the end of the last; `whole_s` is all
that the user waits for, start of processes and final fit with its evaluation included.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import sklearn
from sklearn.datasets import make_classification

from benchmarks import harness
from lineage.artifacts import ArtifactKind
from lineage.client import Client
from lineage.files import Files
from lineage.settings import Settings

COLUMNS = 20
SPACE = {
    "max_depth": {"type": "int", "low": 12, "high": 16},
    "min_samples_leaf": {"type": "int", "low": 1, "high": 4},
}
MODEL = """
from sklearn.ensemble import RandomForestClassifier


def build(params):
    return RandomForestClassifier(n_estimators=60, random_state=0, n_jobs=1, **params)
"""
PEER = """
import json, sys
import optuna, pandas
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sklearn.metrics import roc_auc_score
sys.path.insert(0, sys.argv[1])
from model import build

optuna.logging.set_verbosity(optuna.logging.ERROR)
folder, trials, job = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
data = {split: pandas.read_parquet(f"{folder}/{split}.parquet") for split in ("train", "validate", "test")}
X, y = {k: v[job["features"]] for k, v in data.items()}, {k: v[job["label"]] for k, v in data.items()}


def measured(params, split):
    return roc_auc_score(y[split], build(params).fit(X["train"], y["train"]).predict_proba(X[split])[:, 1])


def objective(trial):
    params = {name: trial.suggest_int(name, spec["low"], spec["high"]) for name, spec in job["space"].items()}
    return measured(params, "validate")


sampler = optuna.samplers.TPESampler(constant_liar=True)
storage = JournalStorage(JournalFileBackend(f"{folder}/{job['study']}.journal"))
study = optuna.create_study(
    study_name="s", storage=storage, sampler=sampler, direction="maximize", load_if_exists=True
)
if trials:
    study.optimize(objective, n_trials=trials)
else:
    measured(study.best_params, "test")
    found = study.trials
    ends = [min(t.datetime_start for t in found).timestamp(), max(t.datetime_complete for t in found).timestamp()]
    print(json.dumps({"search_s": ends[1] - ends[0], "trials": len(found), "best": study.best_value}))
"""


class Bench:
    """A stack with data, code and environment, and the same files beside it for the peer."""

    def __init__(self, client: Client, settings: Settings, folder: Path, rows: int) -> None:
        self.client, self.folder = client, folder
        values, label = make_classification(rows, COLUMNS, n_informative=12, flip_y=0.1, random_state=3)
        lines = [",".join(["id", *(f"c{n}" for n in range(COLUMNS)), "label"])]
        lines += [
            ",".join([str(at), *(f"{each:.6f}" for each in row), str(what)])
            for at, (row, what) in enumerate(zip(values, label, strict=True))
        ]
        (folder / "points.csv").write_text("\n".join(lines) + "\n")
        (folder / "model.py").write_text(MODEL)
        (folder / "peer.py").write_text(PEER)
        self.inputs = self._registered(settings)

    def _registered(self, settings: Settings) -> dict[str, Any]:
        client, folder = self.client, self.folder
        client.wait(client.register_dataset("points", folder / "points.csv"))
        features = [client.define_feature(f"c{n}", f"points.c{n}", "points", ["points.id"]) for n in range(COLUMNS)]
        label = client.define_feature("label", "points.label = 1", "points", ["points.id"])
        members = client.define_feature_set("points", features, label)
        rule = {"by": "HASH", "validate": 0.2, "test": 0.2, "seed": 1}
        training_set = client.wait(client.create_training_set("points", members, rule)).made(ArtifactKind.TRAINING_SET)
        for split, each in training_set.body["splits"].items():
            anyio.run(Files(settings.artifacts_url).fetch, each["sha256"], folder / f"{split}.parquet")
        self.names = {name: training_set.body[name] for name in ("features", "label")}
        wanted = [f"scikit-learn=={sklearn.__version__}", "pandas", "pyarrow", "skops"]
        environment = client.wait(client.register_environment("points", wanted)).made(ArtifactKind.ENVIRONMENT)
        client.wait(client.build_environment(environment))
        return {
            "training_set": training_set,
            "model_code": client.register_model_code("points", folder / "model.py", "model.py:build"),
            "environment": environment,
            "metrics": [client.define_metric("roc_auc")],
            "search_space": client.define_search_space("points", SPACE),
        }

    def ours(self, name: str, workers: int, trials: int) -> dict[str, Any]:
        """One run."""
        began = time.monotonic()
        run = self.client.wait(self.client.tune(name, **self.inputs, trials=trials, parallel=workers))
        whole, done = time.monotonic() - began, list(self.client.trials(run))
        assert trials == sum(each.state == "COMPLETE" for each in done), done
        starts: list[datetime] = [each.started_at for each in done if each.started_at]
        ends: list[datetime] = [each.ended_at for each in done if each.ended_at]
        return {"search_s": (max(ends) - min(starts)).total_seconds(), "whole_s": whole}

    def peers(self, name: str, workers: int, trials: int) -> dict[str, Any]:
        """The same with Optuna alone."""
        job = json.dumps({**self.names, "space": SPACE, "study": name})
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        shares = [trials // workers + (n < trials % workers) for n in range(workers)]
        began = time.monotonic()
        processes = [self._peer(share, job, environ) for share in shares]
        if any(process.wait() for process in processes):
            raise SystemExit("a process of the peer has failed")
        said = self._peer(0, job, environ).communicate()[0]
        found = json.loads(said)
        assert trials == found["trials"], found
        return {"search_s": found["search_s"], "whole_s": time.monotonic() - began}

    def _peer(self, trials: int, job: str, environ: dict[str, str]) -> "subprocess.Popen[str]":
        command = [sys.executable, str(self.folder / "peer.py"), str(self.folder), str(trials), job]
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)


def rounds_of(bench: Bench, *, workers: Sequence[int], trials: int, rounds: int) -> list[dict[str, Any]]:
    """Both ways at every number of workers, in turn; the least of all rounds is shown."""
    best: dict[tuple[str, int], dict[str, float]] = {}
    for turn in range(rounds):
        for count in workers:
            for way, measure in (("optuna", bench.peers), ("lineage", bench.ours)):
                found = measure(f"{way}-{count}-{turn}", count, trials)
                known = best.setdefault((way, count), found)
                known.update({name: min(known[name], found[name]) for name in found})
    return [row(way, count, best) for way, count in best]


def row(way: str, count: int, best: dict[tuple[str, int], dict[str, float]]) -> dict[str, Any]:
    """What is shown: seconds, how often faster than one worker, and the time beside that of the peer."""
    found, alone, peer = best[way, count], best[way, min(n for _, n in best)], best["optuna", count]
    return {
        "way": way,
        "workers": count,
        "search_s": round(found["search_s"], 2),
        "speed_up": round(alone["search_s"] / found["search_s"], 2),
        "of_peer": round(found["search_s"] / peer["search_s"], 2),
        "whole_s": round(found["whole_s"], 2),
        "whole_of_peer": round(found["whole_s"] / peer["whole_s"], 2),
    }


async def measured(args: Any) -> list[dict[str, Any]]:
    """Start everything, and measure."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with harness.whole_stack(workers=1) as served:

            def work() -> list[dict[str, Any]]:
                with Client(served.url) as client:
                    bench = Bench(client, served.settings, Path(folder), args.rows)
                    return rounds_of(bench, workers=args.workers, trials=args.trials, rounds=args.rounds)

            return await asyncio.to_thread(work)


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="slots, and processes of the peer")
    parser.add_argument("--trials", type=int, default=24, help="trials of each study")
    parser.add_argument("--rows", type=int, default=6000, help="rows of the table")
    parser.add_argument("--rounds", type=int, default=2, help="how often all is measured")
    args = parser.parse_args()
    harness.show(anyio.run(measured, args), as_json=args.json)


if __name__ == "__main__":
    main()
