"""A made-up lineage graph of any size, the same for the same seed: about 3 edges a node.

Projects (a dataset, its columns, features over one another, a feature set, a training set, code, models that start from
one another, their evaluations, predictions, a deployment) hang on each other's predictions, the early ones more often.
One environment is the hub: a tenth of all nodes are models that run in it. Three structures answer with a known number
of artifacts at any size of the graph: models in layers, each starting from three of the layer before, which is full of
diamonds.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lineage.artifacts import ArtifactKind, EdgeType, artifact_id

K, E = ArtifactKind, EdgeType
#: What a layered structure is called, its artifacts, and its layers.
LAYERED = {"small": (100, 10), "thousand": (1_000, 25), "large": (10_000, 50)}
CHAIN = 50
MODELS, COLUMNS, FEATURES = 8, 4, 6


@dataclass
class Generated:
    """Kinds of the nodes by number, edges between numbers, and where the questions start."""

    seed: int
    kinds: list[ArtifactKind] = field(default_factory=list)
    edges: list[tuple[EdgeType, int, int]] = field(default_factory=list)
    starts: dict[str, int] = field(default_factory=dict)

    def name(self, number: int) -> str:
        """The name of a node."""
        return f"{self.kinds[number].value.lower()}-{self.seed}-{number}"

    def id(self, number: int) -> str:
        """The id that the product gives it."""
        return artifact_id(self.kinds[number], "benchmark", self.name(number), "1")

    def start(self, question: str) -> str:
        """The id of the node from which *question* starts."""
        return self.id(self.starts[question])

    def node_inputs(self, start: int = 0, end: int | None = None) -> Iterator[Mapping[str, Any]]:
        """Nodes as `recordLineage` takes them."""
        for number in range(start, len(self.kinds) if end is None else min(end, len(self.kinds))):
            yield {**self.ref(number), "properties": {"number": number}}

    def edge_inputs(self) -> Iterator[Mapping[str, Any]]:
        """Edges as `recordLineage` takes them."""
        for type_, source, target in self.edges:
            yield {"type": type_.name, "source": self.ref(source), "target": self.ref(target)}

    def ref(self, number: int) -> Mapping[str, Any]:
        """How an input names a node."""
        return {
            "kind": self.kinds[number].name,
            "namespace": "benchmark",
            "name": self.name(number),
            "version": "1",
        }

    def add(self, kind: ArtifactKind, *links: tuple[EdgeType, int]) -> int:
        """A new node that depends on others."""
        number = len(self.kinds)
        self.kinds.append(kind)
        self.edges += [(type_, number, target) for type_, target in dict.fromkeys(links)]
        return number


def generate(nodes: int, *, seed: int = 7) -> Generated:
    """A graph of about *nodes* nodes."""
    rng, made = random.Random(seed), Generated(seed)
    for name, (size, layers) in LAYERED.items():
        if size <= nodes // 2:
            made.starts[name] = layered(made, size, layers, rng)
    made.starts["chain"] = last = made.add(K.DATASET)
    for _ in range(CHAIN):
        last = made.add(K.DATASET, (E.DERIVED_FROM, last))
    hub = made.starts["hub"] = made.add(K.ENVIRONMENT)
    others = [made.add(K.ENVIRONMENT, (E.INCLUDES, made.add(K.PACKAGE))) for _ in range(10)]
    hung, outputs = nodes // 10, list[int]()
    while len(made.kinds) < nodes:
        environment = hub if hung > 0 else rng.choice(others)
        hung -= MODELS
        project(made, environment, outputs, rng)
    return made


def layered(made: Generated, size: int, layers: int, rng: random.Random) -> int:
    """A model on which *size* others hang in *layers*, each on three of the layer before."""
    start = made.add(K.MODEL)
    before, width = [start], size // layers
    for _ in range(layers):
        before = [
            made.add(K.MODEL, *((E.DERIVED_FROM, each) for each in rng.choices(before, k=3))) for _ in range(width)
        ]
    return start


def project(made: Generated, environment: int, outputs: list[int], rng: random.Random) -> None:
    """From a dataset to predictions, which another project may use."""
    dataset = made.add(K.DATASET)
    if outputs and rng.random() < 0.3:
        early = outputs[int(len(outputs) * rng.random() ** 2)]
        made.edges.append((E.DERIVED_FROM, dataset, early))
    columns = [made.add(K.COLUMN, (E.DERIVED_FROM, dataset)) for _ in range(COLUMNS)]
    features: list[int] = []
    for _ in range(FEATURES):
        used = rng.sample(columns, 2) + rng.sample(features, min(2, len(features)))
        features.append(made.add(K.FEATURE, *((E.DERIVED_FROM, each) for each in used)))
    chosen = made.add(K.FEATURE_SET, *((E.DERIVED_FROM, each) for each in features))
    rows = made.add(K.TRAINING_SET, (E.DERIVED_FROM, chosen), (E.DERIVED_FROM, dataset))
    code = made.add(K.MODEL_CODE, (E.REQUIRES, chosen))
    models: list[int] = []
    for _ in range(MODELS):
        links = [(E.TRAINED_ON, rows), (E.DERIVED_FROM, code), (E.RUNS_IN, environment)]
        links += [(E.DERIVED_FROM, each) for each in models[-2:]]
        models.append(made.add(K.MODEL, *links))
        evaluation = made.add(K.EVALUATION, (E.MEASURES, rows))
        made.edges.append((E.EVALUATED_BY, models[-1], evaluation))
    outputs += [made.add(K.PREDICTIONS, (E.DERIVED_FROM, each), (E.DERIVED_FROM, dataset)) for each in models[-3:]]
    made.add(K.DEPLOYMENT, (E.DERIVED_FROM, models[-1]), (E.RUNS_IN, environment))
