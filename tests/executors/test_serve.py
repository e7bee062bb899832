"""The scoring server: MLflow's protocol, held against MLflow itself, on a real socket."""

import json
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow.deployments import PredictionsResponse
from mlflow.models.signature import ModelSignature
from mlflow.types.schema import Schema
from mlflow.utils.proto_json_utils import dump_input_data

from executors.inside.verdicts import InvalidJob
from lineage import models
from tests.executors.scoring import COLUMNS, TRIAL, fitted, rows, scoring, started, write_job

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow warns of its own types when it is imported
    from mlflow.pyfunc import scoring_server

FRAME = rows(7)
RECORDS = json.loads(FRAME.to_json(orient="records"))
GOOD = RECORDS[0]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model."""
    path = tmp_path_factory.mktemp("s")
    write_job(path, fitted())
    return path


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[httpx.Client]:
    """A client of its server."""
    with scoring(root) as client:
        yield client


def refused(client: httpx.Client, body: Any, status: int = 400) -> str:
    """The message with which a body is refused, in MLflow's shape."""
    content = body if isinstance(body, str | bytes) else json.dumps(body)
    answer = client.post("/invocations", content=content, headers={"Content-Type": "application/json"})
    assert (status, {"error_code", "message"}) == (answer.status_code, set(answer.json()))
    assert "BAD_REQUEST" == answer.json()["error_code"]
    return str(answer.json()["message"])


def shapes() -> dict[str, Any]:
    """The same rows in every shape that the protocol has."""
    split = json.loads(FRAME.to_json(orient="split"))
    columns = {name: [row[name] for row in RECORDS] for name in GOOD}
    lists = [list(row.values()) for row in RECORDS]
    return {
        "split": {"dataframe_split": split},
        "split without columns": {"dataframe_split": {"data": split["data"]}},
        "records": {"dataframe_records": RECORDS},
        "instances of objects": {"instances": RECORDS},
        "instances of lists": {"instances": lists},
        "inputs of columns": {"inputs": columns},
        "inputs of lists": {"inputs": lists},
    }


@pytest.mark.parametrize("shape", shapes())
def test_every_shape_gives_the_predictions_of_the_estimator(client: httpx.Client, shape: str) -> None:
    """However the rows are written, they are scored as the estimator itself scores them."""
    answer = client.post("/invocations", json=shapes()[shape])

    assert {"predictions": fitted().predict(FRAME).tolist()} == answer.json()


def test_bodies_of_mlflow_are_understood_and_its_answers_given(client: httpx.Client) -> None:
    """What MLflow's client sends is scored, and what it hears it can read."""
    body = dump_input_data(FRAME, params={})

    answer = client.post("/invocations", content=body, headers={"Content-Type": scoring_server.CONTENT_TYPE_JSON})

    assert fitted().predict(FRAME).tolist() == list(PredictionsResponse.from_json(answer.text)["predictions"])  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("shape", ["split", "records", "inputs of columns"])
def test_rows_are_read_as_mlflow_reads_them(client: httpx.Client, shape: str) -> None:
    """The frame that MLflow makes of a body by the same signature is scored alike."""
    signed = models.signature(COLUMNS, task="classification", classes=["no", "yes"])
    signature = ModelSignature(Schema.from_json(json.dumps(signed["inputs"])))
    data, _ = scoring_server._split_data_and_params(json.dumps(shapes()[shape]))  # type: ignore[no-untyped-call]
    theirs = scoring_server.infer_and_parse_data(data, signature.inputs)
    frame = theirs if hasattr(theirs, "columns") else FRAME.assign(**theirs)

    answer = client.post("/invocations", json=shapes()[shape])

    assert fitted().predict(frame).tolist() == answer.json()["predictions"]


def test_csv(client: httpx.Client) -> None:
    """CSV with a header is scored too; its values are read by the signature."""
    answer = client.post(
        "/invocations", content=FRAME.to_csv(index=False).encode(), headers={"Content-Type": "text/csv"}
    )
    wrong = client.post(
        "/invocations", content=b"age,weight,is_new,town\nold,1,true,Ulm\n", headers={"Content-Type": "text/csv"}
    )

    assert fitted().predict(FRAME).tolist() == answer.json()["predictions"]
    assert (400, "column 'age', row 0: 'old' is not a whole number") == (wrong.status_code, wrong.json()["message"])


def test_probabilities_on_request(client: httpx.Client) -> None:
    """A caller may ask for the probability of each class."""
    answer = client.post("/invocations", json={"dataframe_records": RECORDS, "params": {"probabilities": True}}).json()

    assert ["no", "yes"] == answer["classes"]
    assert pytest.approx(fitted().predict_proba(FRAME).ravel()) == [p for row in answer["probabilities"] for p in row]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({**GOOD, "age": 1.5}, "column 'age', row 1: 1.5 is not a whole number"),
        ({**GOOD, "age": None}, "column 'age', row 1: None is not a whole number"),
        ({**GOOD, "age": True}, "column 'age', row 1: True is not a whole number"),
        ({**GOOD, "age": 2**63}, "column 'age', row 1: 9223372036854775808 is not a whole number"),
        ({**GOOD, "weight": "70"}, "column 'weight', row 1: '70' is not a number or null"),
        ({**GOOD, "weight": 10**400}, "column 'weight', row 1: 1000"),
        ({**GOOD, "is_new": 1}, "column 'is_new', row 1: 1 is not true or false"),
        ({**GOOD, "town": 7}, "column 'town', row 1: 7 is not a string or null"),
        ({**GOOD, "town": ["Ulm"]}, "column 'town', row 1: ['Ulm'] is not a string or null"),
        ({"age": 1}, "row 1 lacks the column 'weight'"),
    ],
)
def test_a_bad_value_is_refused_with_its_column(client: httpx.Client, row: Any, said: str) -> None:
    """A value of another type than the signature's is refused, and the caller hears which column and row it is in."""
    assert said in refused(client, {"dataframe_records": [GOOD, row]})


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not_are_refused_with_their_column(client: httpx.Client, word: str) -> None:
    """NaN and infinities, which some writers put into JSON, are refused by their column; null is what is missing."""
    text = json.dumps({"dataframe_records": [{**GOOD, "weight": 70707.25}]}).replace("70707.25", word)

    assert f"column 'weight', row 0: {word} is not a number or null" in refused(client, text)


def test_missing_columns_are_named_and_further_ones_left_aside(client: httpx.Client) -> None:
    """Columns that are missing are named together; such as the model does not want do no harm, as with MLflow."""
    lacking = {name: value for name, value in GOOD.items() if name not in ("age", "town")} | {"agee": 1}
    answer = client.post("/invocations", json={"dataframe_records": [{**GOOD, "colour": "red"}]})

    said = refused(client, {"dataframe_records": [lacking]})

    assert "these columns are missing: age, town; these are not among the model's: agee" == said
    assert 200 == answer.status_code


def test_a_null_that_the_estimator_refuses_is_named(client: httpx.Client) -> None:
    """A missing value passes the signature; where the estimator takes none, the caller hears which column has it."""
    said = refused(client, {"dataframe_records": [{**GOOD, "weight": None}]})

    assert "contains NaN" in said
    assert said.endswith("values are missing in: weight")


@pytest.mark.parametrize(
    "body",
    [
        "{",
        b"\xff\xfe",
        "[1]",
        "{}",
        {"inputs": [], "instances": []},
        {"instances": 1},
        {"inputs": "x"},
        {"dataframe_split": [1]},
        {"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": ["age", "age"], "data": [[1, 2]]}},
        {"dataframe_split": {"columns": 4, "data": []}},
        {"dataframe_records": {"age": 1}},
        {"instances": [[1], [1, 2]]},
        {"inputs": {"age": [1, 2], "weight": [1]}},
        {"dataframe_records": [], "params": 3},
        "[" * 100_000,
    ],
)
def test_bodies_of_no_shape_are_refused(client: httpx.Client, body: Any) -> None:
    """What is no JSON, or has none of the four shapes, is refused, and the server lives on."""
    assert refused(client, body)
    assert b"\n" == client.get("/ping").content


def test_no_rows_have_no_predictions(client: httpx.Client) -> None:
    """An empty frame with all its columns is answered with an empty list."""
    body = {"dataframe_split": {"columns": list(GOOD), "data": []}}

    assert {"predictions": []} == client.post("/invocations", json=body).json()


def test_health_version_and_what_is_not_there(client: httpx.Client) -> None:
    """Health and version answer as MLflow's; other paths, types and lengths are refused."""
    found = {path: client.get(path).status_code for path in ("/ping", "/health", "/version", "/invocations", "/x")}
    typed = client.post("/invocations", content=b"{}", headers={"Content-Type": "text/plain"})
    assert {"/ping": 200, "/health": 200, "/version": 200, "/invocations": 404, "/x": 404} == found
    assert 415 == typed.status_code
    assert 3 == int(client.get("/version").text.partition(".")[0])


def test_a_body_without_a_length_is_refused(root: Path, client: httpx.Client) -> None:
    """A body that comes in pieces has no length, so nobody could bound it before it is read."""
    answer = client.post("/invocations", content=iter([b"{}"]), headers={"Content-Type": "application/json"})

    assert 411 == answer.status_code


def test_a_body_that_is_too_long_is_refused_before_it_is_sent(root: Path, client: httpx.Client) -> None:
    """The length alone is enough to refuse a body."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(str(root / "out" / "serve.sock"))
        line.sendall(b"POST /invocations HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n")

        assert line.recv(65536).startswith(b"HTTP/1.1 413")


def test_a_request_under_way_is_answered_when_the_server_stops(tmp_path: Path) -> None:
    """Asked to stop in the midst of a request, the server answers it, takes no more, and leaves no socket."""
    write_job(tmp_path / "w", fitted())
    body = json.dumps({"dataframe_records": RECORDS}).encode()
    head = f"POST /invocations HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with started(tmp_path / "w") as process, socket.socket(socket.AF_UNIX) as line:
        line.settimeout(20)
        line.connect(str(tmp_path / "w" / "out" / "serve.sock"))
        line.sendall(head.encode() + body[:10])
        time.sleep(0.3)
        process.terminate()
        time.sleep(0.5)
        line.sendall(body[10:])
        answer = line.recv(65536)

    assert b"200 OK" in answer
    assert b"Connection: close" in answer
    assert not (tmp_path / "w" / "out" / "serve.sock").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "0" * 64}, "it was changed"),
        ({"path": "other"}, "there is no model file"),
        ({"format": "pickle"}, "the job does not allow that"),
    ],
)
def test_what_was_changed_is_not_served(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """A model whose digest, types or format are not approved is never loaded."""
    root = tmp_path / "w"
    write_job(root, fitted())
    job = json.loads((root / "job.json").read_text())
    (root / "job.json").write_text(json.dumps({**job, "model": {**job["model"], **change}}))

    ended = subprocess.run([sys.executable, str(TRIAL), "job.json"], cwd=root, capture_output=True, text=True)

    assert (InvalidJob.code, True) == (ended.returncode, said in ended.stdout)


def test_a_server_that_nobody_asks_ends(tmp_path: Path) -> None:
    """Left alone by whoever looks after it, the server ends by itself."""
    write_job(tmp_path / "w", fitted(), orphaned_after=0.5)

    ended = subprocess.run([sys.executable, str(TRIAL), "job.json"], cwd=tmp_path / "w", timeout=60)

    assert 0 == ended.returncode
