"""The life cycle runs itself, month by month, on the flights of New York: real processes, real data.

Each month brings a new version of the dataset. One trigger trains the champion again on it, another asks for the
promotion of what came out, the gate decides, and a deployment follows the champion while a client scores all the while.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from anyio.from_thread import start_blocking_portal
from standardwebhooks import Webhook

from lineage.artifacts import ArtifactKind
from lineage.client import Artifact, Client, Deployment
from lineage.demo import flights
from lineage.errors import Conflict
from tests.e2e.load import Load
from tests.e2e.worlds import PACKAGES, served
from tests.lineage.cycle.receiver import Receiver, receiving

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

K = ArtifactKind
NAME = "late"
MONTHS = ("January", "February", "March", "April")
EVERY = 25  # one flight of so many is kept
FEATURES = ("dep_delay", "distance", "hour")
ROW = {"dep_delay": 21.0, "distance": 1400.0, "hour": 17}
SECRET = "whsec_bW9udGggYnkgbW9udGgsIG1vbnRoIGJ5IG1vbnRoLg=="
CODE = """
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def build(params):
    return make_pipeline(StandardScaler(), LogisticRegression(C=params["C"]))
"""
CHAIN = """query ($data: ID!, $models: ID!, $asset: String!) {
  retrained: firings(source: $data, first: 20) { edges { node { artifact { id } state
    plan { state reason firedBy { source } steps { kind made { id } run { id kind plan { id } firedBy { id } } } } } } }
  judged: firings(source: $models, first: 20) { edges { node { artifact { id } state
    promotion { id state gate automatic override decidedBy firedBy { source } champion { id } run { kind state }
      verdict { gate numbers } } } } }
  artifact(kind: MODEL, name: $asset) { asset { aliasHistory {
    since until by artifact { id } promotion { id state } } } }
  deployed: runs(filter: {kinds: [DEPLOY]}) { edges { node { state createdBy spec used { id } generated { kind } } } }
}"""


@dataclass
class Months:
    """Everything running, the files of each month, and what has come of it so far, by month."""

    client: Client
    files: list[Path]
    receiver: Receiver
    datasets: dict[str, Artifact] = field(default_factory=dict)
    models: dict[str, Artifact] = field(default_factory=dict)
    live: dict[str, str | None] = field(default_factory=dict)

    def until(self, what: Any, seconds: float = 150) -> Any:
        """What *what* gives as soon as it gives something."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, "it took too long"
            time.sleep(0.25)
        return found

    def deployment(self) -> Deployment:
        """What is deployed."""
        (found,) = self.client.deployments()
        return found

    def serves(self, model: Artifact) -> bool:
        """Whether *model* answers, and nothing else is wanted."""
        found = self.deployment()
        return bool(found.model and found.model.id == model.id and found.live and found.state == "HEALTHY")

    def register(self, month: str) -> Artifact:
        """The dataset's version of a month."""
        run = self.client.register_dataset("flights", self.files[MONTHS.index(month)])
        self.datasets[month] = self.client.wait(run).made(K.DATASET)
        return self.datasets[month]

    def judged(self, month: str) -> Any:
        """What the gate made of the model of a month, once it has."""
        known = {model.id for name, model in self.models.items() if name != month}
        for each in self.client.promotions(NAME):
            if each.model is not None and each.model.id not in known and each.state != "GATING":
                self.models[month] = each.model
                return each
        return None


def a_month(table: pd.DataFrame, month: int, path: Path, *, swapped: bool = False) -> Path:
    """Some flights of a month as a file; *swapped*: whoever was late is on time there, and the other way round."""
    rows = table[(table.month == month) & table.arr_delay.notna()].iloc[::EVERY].reset_index(names="id")
    if swapped:
        rows["arr_delay"] = 31 - rows["arr_delay"]
    file = path / f"flights-{month}.csv"
    rows[["id", *FEATURES, "arr_delay"]].to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Months]:
    """Everything running, with the model of January, which a person has approved, deployed and followed."""
    path = tmp_path_factory.mktemp("months")
    names = ["month", "dep_delay", "arr_delay", "distance", "hour"]
    table = pd.read_csv(flights.unpack(path)["flights"], usecols=names)
    files = [a_month(table, month, path, swapped=month == 3) for month in range(1, len(MONTHS) + 1)]
    settings = {"webhook_private": "yes", "webhook_secret": SECRET}
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(receiving()) as receiver,
        served(path, **settings) as (client, _),
    ):
        months = Months(client, files, receiver)
        first_month(months, path)
        yield months
        client.undeploy(NAME)
        months.until(lambda: not client.deployments())


def first_month(months: Months, path: Path) -> None:
    """What a person does once: define, train, set the triggers, approve the first champion, and deploy it."""
    client = months.client
    waiting = client.register_environment(NAME, PACKAGES)
    months.register("January")
    features = [client.define_feature(name, f"flights.{name}", "flights", ["flights.id"]) for name in FEATURES]
    label = client.define_feature("late", "flights.arr_delay > 15", "flights", ["flights.id"])
    members = client.define_feature_set(NAME, features, label)
    rule = {"by": "HASH", "validate": 0.1, "test": 0.3, "seed": 1}
    rows = client.wait(client.create_training_set(NAME, members, rule)).made(K.TRAINING_SET)
    (path / "code.py").write_text(CODE)
    code = client.register_model_code(NAME, path / "code.py", "code.py:build")
    auc = client.define_metric("roc_auc", threshold=0.8, min_absolute_change=-0.03)
    gate = client.define_benchmark("january", rows, [auc], resamples=200)
    client.create_webhook("ops", months.receiver.url, ["PROMOTED"])
    client.create_trigger("new-month", "new-version", "retrain", {"model": "late@champion"}, of="flights")
    spec = {"model": "$artifact", "benchmark": gate.id, "automatic": True}
    client.create_trigger("judge", "new-version", "requestPromotion", spec, of=NAME, kind="Model")
    environment = client.wait(waiting).made(K.ENVIRONMENT)
    client.wait(client.train(NAME, rows, code, environment, [auc], hyperparameters={"C": 1.0}))
    asked = months.until(lambda: months.judged("January"))
    assert ("WAITING", "NO_CHAMPION") == (asked.state, asked.gate)
    client.approve_promotion(asked.id, reason="there is no other yet")
    client.wait(client.deploy(NAME, "late@champion", follow=True))


def test_month_by_month(months: Months) -> None:
    """The gate passes February, refuses March, whose labels are swapped, and passes April; no request fails."""
    client, told = months.client, {}
    url = f"{client.url}/deployments/{NAME}/invocations"
    with Load(url, ROW, threads=1, pause=0.05, params={"probabilities": True}) as load:
        for month in MONTHS[1:]:
            months.register(month)
            told[month] = months.until(lambda month=month: months.judged(month))
            if told[month].state == "PROMOTED":
                months.until(lambda month=month: months.serves(months.models[month]))
            model = months.deployment().model
            months.live[month] = model.id if model else None
        time.sleep(1)

    models = {month: model.id for month, model in months.models.items()}
    assert {"February": "PROMOTED", "March": "REFUSED", "April": "PROMOTED"} == {
        month: each.state for month, each in told.items()
    }
    # March leaves February where it was; the others take the place of the one before.
    assert {"February": models["February"], "March": models["February"], "April": models["April"]} == months.live
    assert {200} == {status for status, _ in load.answers}
    # One answer for each model that was live, and none of March's.
    assert 3 == len({text for _, text in load.answers})
    with pytest.raises(Conflict, match="the gate said REFUSED"):
        client.approve_promotion(told["March"].id)


def test_the_graph_tells_who_fired_what(months: Months) -> None:
    """From each version of the dataset to its firing, plan, runs and model, to the gate, the alias and who moved it."""
    client = months.client
    triggers = {each.name: each.id for each in client.triggers()}
    found = client.query(CHAIN, data=triggers["new-month"], models=triggers["judge"], asset=NAME)
    pages = ([edge["node"] for edge in found[name]["edges"]] for name in ("retrained", "judged"))
    retrained, judged = ({node["artifact"]["id"]: node for node in page} for page in pages)
    history = {each["artifact"]["id"]: each for each in found["artifact"]["asset"]["aliasHistory"]}

    assert {each.id for each in months.datasets.values()} - retrained.keys() == {months.datasets["January"].id}
    assert {each.id for each in months.models.values()} == judged.keys()
    for month in MONTHS[1:]:
        plan = retrained[months.datasets[month].id]["plan"]
        assert ("SUCCEEDED", "RETRAIN", triggers["new-month"]) == (
            plan["state"],
            plan["reason"],
            plan["firedBy"]["source"],
        )
        assert ["FEATURE_SET", "TRAINING_SET", "MODEL"] == [step["kind"] for step in plan["steps"]]
        assert months.models[month].id == plan["steps"][-1]["made"]["id"]
        assert "TRAIN" == plan["steps"][-1]["run"]["kind"]
    states = {month: judged[model.id]["promotion"] for month, model in months.models.items()}
    assert {triggers["judge"]} == {each["firedBy"]["source"] for each in states.values()}
    assert ["NO_CHAMPION", "PASSED", "REFUSED", "PASSED"] == [states[month]["gate"] for month in MONTHS]
    # The challenger of March was held against February's model, on the rows of January.
    (numbers,) = states["March"]["verdict"]["numbers"]
    assert months.models["February"].id == states["March"]["champion"]["id"]
    assert numbers["challenger"] < 0.5 < 0.8 < numbers["champion"]
    assert numbers["low"] <= numbers["challenger"] - numbers["champion"] <= numbers["high"] < 0
    assert months.models["March"].id not in history
    for month in ("January", "February", "April"):
        assert states[month]["id"] == history[months.models[month].id]["promotion"]["id"]
    assert history[months.models["February"].id]["until"] == history[months.models["April"].id]["since"]
    # Each interval of the alias was deployed once, and the run names it.
    deployed = {run["used"][0]["id"]: run for run in (edge["node"] for edge in found["deployed"]["edges"])}
    assert history.keys() == deployed.keys()
    assert len(history) == len(found["deployed"]["edges"])
    for model, interval in history.items():
        run = deployed[model]
        assert ("SUCCEEDED", [{"kind": "DEPLOYMENT"}]) == (run["state"], run["generated"])
        assert datetime.fromisoformat(interval["since"]) == datetime.fromisoformat(run["spec"]["following"]["since"])


def test_each_move_of_the_alias_was_told(months: Months) -> None:
    """A webhook heard of the three moves, signed, in order."""
    posts = months.until(lambda: months.receiver.posts if len(months.receiver.posts) >= 3 else None, 30)
    messages = [Webhook(SECRET).verify(each.body, each.headers) for each in posts]

    moved = [json.loads(each.body)["data"]["artifact"] for each in posts]
    assert {"alias.moved"} == {each["type"] for each in messages}
    assert [months.models[month].id for month in ("January", "February", "April")] == moved
