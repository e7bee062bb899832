"""A model behind the scoring server, as an executor starts it, and a client on its socket."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skops import io

from lineage import models

TRIAL = Path(__file__).resolve().parents[2] / "executors" / "trial.py"
COLUMNS = [
    {"name": "age", "type": "BIGINT", "nullable": False},
    {"name": "weight", "type": "DOUBLE", "nullable": True},
    {"name": "is_new", "type": "BOOLEAN", "nullable": False},
    {"name": "town", "type": "VARCHAR", "nullable": False},
]


def rows(count: int = 200) -> pd.DataFrame:
    """Rows with one column of each type."""
    draw = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "age": draw.integers(18, 90, count),
            "weight": draw.normal(70, 9, count).round(1),
            "is_new": draw.random(count) < 0.5,
            "town": draw.choice(["Ulm", "Köln", "Jena"], count),
        }
    )


def fitted() -> Any:
    """A classifier of these rows."""
    frame = rows()
    parts = make_column_transformer(
        (StandardScaler(), ["age", "weight", "is_new"]), (OneHotEncoder(handle_unknown="ignore"), ["town"])
    )
    label = np.where((frame.age > 50) & (frame.weight > 65) | (frame.town == "Ulm"), "yes", "no")
    return make_pipeline(parts, LogisticRegression()).fit(frame, label)


def write_job(root: Path, model: Any, **changes: Any) -> None:
    """Fill the folder *root* as a controller does."""
    (root / "out").mkdir(parents=True)
    io.dump(model, root / "model.skops")
    sha256 = hashlib.sha256((root / "model.skops").read_bytes()).hexdigest()
    given = {
        "path": "model.skops",
        "sha256": sha256,
        "format": "skops",
        "allowed_types": list(models.ALLOWED_TYPES),
        "allow_pickle": False,
    }
    job = {
        "mode": "serve",
        "model": given,
        "signature": models.signature(COLUMNS, task="classification", classes=["no", "yes"]),
        "features": [column["name"] for column in COLUMNS],
        "task": "classification",
        "socket": "out/serve.sock",
        **changes,
    }
    (root / "job.json").write_text(json.dumps(job))


@contextmanager
def started(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the server of the folder *root*, and stop it at the end."""
    command = [sys.executable, str(TRIAL), "job.json"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        try:
            while not (root / "out" / "serve.sock").exists():
                assert process.poll() is None, "the server did not start"
                assert time.monotonic() < until
                time.sleep(0.02)
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def scoring(root: Path) -> Iterator[httpx.Client]:
    """A client of the server of the folder *root*, which lives as long."""
    with started(root):
        transport = httpx.HTTPTransport(uds=str(root / "out" / "serve.sock"))
        with httpx.Client(transport=transport, base_url="http://model", timeout=30) as client:
            yield client
