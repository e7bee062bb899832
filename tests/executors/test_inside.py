"""What runs inside an environment, piece by piece."""

import errno
import io
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.base import Prepared
from executors.exchange import Bench
from executors.inside import saving, scoring, verdicts
from executors.inside.program import Program, guarded, sha256_of, tree
from executors.inside.protocol import Protocol
from executors.inside.tables import Tables
from executors.inside.verdicts import InvalidJob, Lacking, OutOfMemory, Refused, Silent, Stale, UserCode
from lineage import metrics
from lineage.artifacts import digest_of
from lineage.errors import InvalidInput
from lineage.server import authorities
from lineage.settings import Settings
from tests.executors.tls import terminating

HERE = Path(__file__).resolve().parents[2]
OF_LABELS_AND_SCORES = [*scoring.OF_LABELS, *scoring.OF_SCORES]


def test_standard_library_alone() -> None:
    """trial.py and the shepherd start without any installed package, and where there is none of ours to be found."""
    for name in ("trial.py", "shepherd.py"):
        check = f"import runpy, sys; runpy.run_path({str(HERE / 'executors' / name)!r}); print(sorted(sys.modules))"
        if name == "shepherd.py":
            check = (
                f"import sys; sys.path.insert(0, {str(HERE)!r}); import executors.shepherd; print(sorted(sys.modules))"
            )

        loaded = subprocess.check_output([sys.executable, "-I", "-S", "-c", check], text=True)

        assert not {"numpy", "pandas", "anyio", "lineage"} & set(json.loads(loaded.replace("'", '"')))


def test_code_does_not_see_our_modules(tmp_path: Path) -> None:
    """Model code that names a module as we name one of ours gets its own."""
    body = "import process, base, trial\nraise ValueError(process.WHOSE + base.WHOSE + trial.WHOSE)"
    with Bench(tmp_path, Prepared(python=Path(sys.executable))) as bench:
        workspace = bench.fit(body, protocol=None)
    for name in ("process", "base", "trial"):
        (workspace.root / "code" / f"{name}.py").write_text("WHOSE = 'theirs '")

    command = [sys.executable, str(HERE / "executors" / "trial.py"), str(workspace.root / "job.json")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert UserCode.code == ended.returncode, ended
    verdict = json.loads((workspace.root / "slots" / "0.verdict.json").read_text())
    assert verdict["message"].endswith("ValueError: theirs theirs theirs")


def test_tree_agrees_with_the_graph(tmp_path: Path) -> None:
    """The source tree seen from inside has the digest that the same listing has in the graph; caches do not count."""
    (tmp_path / "pkg" / "__pycache__").mkdir(parents=True)
    (tmp_path / "pkg" / "__pycache__" / "x.pyc").write_bytes(b"cache")
    (tmp_path / "pkg" / "ünder.py").write_text("x = 1")
    (tmp_path / "model.py").write_text("y = 2")

    seen = tree(tmp_path)

    assert ["model.py", "pkg/ünder.py"] == [path for path, _ in seen["files"]]
    assert digest_of(seen["files"]) == seen["digest"]


@pytest.mark.parametrize(
    ("entry", "kind", "said"),
    [
        ("model.py:nothing", InvalidJob, "has no function 'nothing'"),
        ("other.py:build", InvalidJob, "not 'file.py:function'"),
        ("../model.py:build", InvalidJob, "not 'file.py:function'"),
        ("model.py", InvalidJob, "not 'file.py:function'"),
        ("broken.py:build", UserCode, "SyntaxError"),
    ],
)
def test_entry(tmp_path: Path, entry: str, kind: type[Exception], said: str) -> None:
    """An entry point that is not there, lies outside, or cannot be read is named."""
    root = tmp_path / "code"
    root.mkdir()
    (root / "model.py").write_text("def build(params): ...")
    (tmp_path / "model.py").write_text("def build(params): ...")
    (root / "broken.py").write_text("def build(:")

    with pytest.raises(kind, match=said):
        Program(root, entry, "build")


def test_entry_in_a_package(tmp_path: Path) -> None:
    """A file in a folder is loaded under its own name, and may import its neighbours both ways."""
    (tmp_path / "inner_package").mkdir()
    (tmp_path / "inner_package" / "neighbour_of_model.py").write_text("VALUE = 5")
    text = "from inner_package.neighbour_of_model import VALUE\nimport neighbour_of_model\n"
    (tmp_path / "inner_package" / "model.py").write_text(f"{text}def build(params): return VALUE, build.__module__")

    assert (5, "inner_package.model") == Program(tmp_path, "inner_package/model.py:build", "build").call({})


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("x"), UserCode), (SystemExit(1), UserCode), (MemoryError(), OutOfMemory), (RecursionError(), UserCode),
     (ModuleNotFoundError("no", name="xgboost"), Lacking)],
)  # fmt: skip
def test_guarded(error: BaseException, kind: type[verdicts.End]) -> None:
    """Whatever the user's code raises becomes a verdict; being asked to stop does not."""

    def fails() -> None:
        raise error

    with pytest.raises(kind):
        guarded(fails)


def test_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not there, one that lacks another, and one that does not fit the others are told apart."""
    (tmp_path / "half_there.py").write_text("import not_to_be_had")
    (tmp_path / "unfit.py").write_text("raise ImportError('requires NumPy 2')")
    monkeypatch.syspath_prepend(tmp_path)
    said = {
        "nowhere.at_all": "lacks 'a-name'",
        "half_there": "lacks 'not_to_be_had', which its 'a-name'",
        "unfit": "cannot be imported: requires NumPy 2",
    }

    for module, words in said.items():
        with pytest.raises(Lacking, match=words):
            verdicts.need(module, "a-name")


def test_long_messages_keep_their_end() -> None:
    """Of a long traceback the end is kept, where the error stands."""
    with pytest.raises(UserCode) as caught:
        guarded({}.__getitem__, "x" * 5000)

    assert len(str(caught.value)) <= verdicts.MESSAGE_LIMIT + 1
    assert str(caught.value).startswith("…")


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
def test_metrics_agree(seed: int, count: int) -> None:
    """The objective that trials are told apart by is the metric that the evaluation records."""
    random = np.random.default_rng(seed)
    classes = [f"class {index}" for index in range(count)]
    truth = np.array([*classes, *random.choice(classes, 40)], dtype=object)
    scores = random.dirichlet(np.ones(count), len(truth))
    predicted = np.array(classes, dtype=object)[scores.argmax(axis=1)]
    columns = {"score": scores[:, 1]} if count == 2 else {f"score_{n}": scores[:, i] for i, n in enumerate(classes)}
    stream = io.BytesIO()
    pd.DataFrame({"y": truth, "prediction": predicted, **columns}).to_parquet(stream)

    ours = scoring.measure(
        truth, scoring.Predicted(values=predicted, scores=scores, classes=np.array(classes)), OF_LABELS_AND_SCORES
    )

    stream.seek(0)
    task: Any = {"label": "y", "task": "classification", "classes": classes}
    theirs = metrics.measure(stream, OF_LABELS_AND_SCORES, **task).values  # type: ignore[arg-type]
    assert theirs == pytest.approx(ours)


def test_same_metrics() -> None:
    """Every metric that can be defined can be an objective."""
    assert sorted(metrics.METRICS) == sorted(scoring.METRICS)


def test_metric_without_probabilities() -> None:
    """A model without probabilities has no ROC: it is left out among others, and an error as the objective."""
    truth = np.array([0, 1, 0, 1])
    predicted = scoring.Predicted(values=truth, classes=np.array([0, 1]))

    assert {"accuracy": 1.0} == scoring.measure(truth, predicted, ["roc_auc", "accuracy"])
    with pytest.raises(InvalidJob, match="predict_proba"):
        scoring.measure(truth, predicted, [], required="roc_auc")


def test_null_labels(tmp_path: Path) -> None:
    """Rows without a label are counted and refused."""
    pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, None]}).to_parquet(tmp_path / "t.parquet")
    tables = Tables(tmp_path, {"data": {"train": "t.parquet"}, "features": ["x"], "label": "y"})

    with pytest.raises(InvalidJob, match="'y' is null in 1 of 2 rows"):
        tables.y("train")


def test_frames_are_the_callers_own(tmp_path: Path) -> None:
    """What one trial does to its data no other sees."""
    pd.DataFrame({"x": [1.0, 2.0], "y": ["a", "b"]}).to_parquet(tmp_path / "t.parquet")
    tables = Tables(tmp_path, {"data": {"train": "t.parquet"}, "features": ["x"], "label": "y"})
    for change in (tables.frame("train"), tables.x("train")):
        change.iloc[0, 0] = 99.0
    tables.y("train")[0] = "z"

    assert [1.0, 2.0] == tables.x("train")["x"].tolist()
    assert ["a", "b"] == tables.y("train").tolist()


class Evil:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (print, ("executed",))


def test_unsafe_models_are_not_opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pickle without leave, a type outside the list, and a file that is no model are refused unread."""
    from skops import io as skops

    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Evil()))
    skops.dump(Evil, tmp_path / "m.skops")
    with zipfile.ZipFile(tmp_path / "bad.skops", "w") as archive:
        archive.writestr("schema.json", "{}")

    for name, said in (("m.pkl", "pickle"), ("m.skops", "not allowed: .*Evil"), ("bad.skops", "cannot be read")):
        given = {"path": name, "sha256": sha256_of(tmp_path / name), "format": Path(name).suffix[1:]}
        given["format"] = {"pkl": "pickle"}.get(given["format"], given["format"])
        with pytest.raises(InvalidJob, match=said):
            saving.load(tmp_path, given)

    assert "" == capsys.readouterr().out


def test_protocol(tmp_path: Path) -> None:
    """The protocol over a Unix socket: artifacts are kept, a refusal of a result is survived, strangers are not."""
    with Bench(tmp_path, Prepared(python=Path(sys.executable)), unix=tmp_path / "s") as bench:
        line = Protocol(bench.url, bench.exchange.token, slot="0", patience=0.3)
        assert 3 == line.put("a/b.bin", b"abc")["bytes"]
        assert {"a/b.bin": b"abc"} == bench.exchange.artifacts
        assert not line.report(0, 0, float("nan"))
        with pytest.raises(Stale):
            Protocol(bench.url, "another", slot="0").ask()
        bench.exchange.refuse = 99
        with pytest.raises(Silent, match="503"):
            line.ask()
    with pytest.raises(Silent, match=r"FileNotFoundError|ConnectionRefused"):
        Protocol(bench.url, "x", slot="0", patience=0.1).tell(0, "FAIL")


def test_protocol_over_tls(tmp_path: Path) -> None:
    """An https address is spoken to once its authority is known, which job.json carries; a stranger's gets no token."""
    with terminating(tmp_path) as proxy, Bench(tmp_path, Prepared(python=Path(sys.executable))) as bench:
        proxy.behind = bench.url
        bundle = tmp_path / "bundle.pem"
        bundle.write_text(f"Grüße: the authority of the tests\n{proxy.authority.read_text()}")
        known = authorities(Settings(home=tmp_path, ca_bundle=str(bundle)), proxy.url)
        line = {"url": proxy.url, "token": bench.exchange.token, "authorities": known, "patience": 0.2}

        assert Protocol.of(line, slot="0").ask()["done"]
        with pytest.raises(Silent, match="CERTIFICATE_VERIFY_FAILED"):
            Protocol.of({**line, "authorities": None}, slot="0").ask()
    assert 1 == proxy.connections
    assert authorities(Settings(home=tmp_path, ca_bundle=str(bundle)), "http://x") is None
    with pytest.raises(InvalidInput, match="LINEAGE_CA_BUNDLE"):
        authorities(Settings(home=tmp_path, ca_bundle=str(tmp_path / "none")), proxy.url)


def test_refusals() -> None:
    """What the API refuses for good is not asked again; addresses that cannot be are named."""
    line = Protocol("http://127.0.0.1:1", "t", slot="0")

    with pytest.raises(Refused, match="409 CONFLICT over"):
        line._read(409, b'{"error": {"code": "CONFLICT", "message": "over"}}')
    with pytest.raises(InvalidJob, match="neither"):
        Protocol("ftp://x", "t", slot="0").ask()


@pytest.mark.parametrize(
    "error", [BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), RuntimeError("can't start new thread")]
)
def test_a_refused_fork_is_no_fault_of_the_code(error: Exception) -> None:
    """What the kernel says to an ordinary user over the limit of processes is told as just that."""
    assert "PROCESSES" == verdicts.of_user_code(error).reason
