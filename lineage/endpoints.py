"""Endpoints: names that requests are sent to, which version is wanted there, which is live, and what runs for it."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from lineage.artifacts import ArtifactKind, asset_id

#: Where a scoring server listens, in its folder.
SOCKET = "out/serve.sock"
#: What ids of replicas begin with.
REPLICA = "serve-"
#: Where it keeps a sample of the rows that it has answered, in its folder.
SAMPLE = "out/sample.json"


class EndpointState(StrEnum):
    """Where an endpoint is."""

    #: Nothing serves yet.
    STARTING = "STARTING"
    #: A version serves while the next one is made ready.
    REPLACING = "REPLACING"
    #: What is wanted serves, with all its replicas.
    HEALTHY = "HEALTHY"
    #: What is wanted serves, with fewer replicas than it should have, or with none.
    DEGRADED = "DEGRADED"
    #: It was undeployed; what still runs is being ended.
    STOPPING = "STOPPING"
    #: Nothing serves, and nothing is meant to.
    REMOVED = "REMOVED"


class ReplicaState(StrEnum):
    """Where one scoring server is."""

    STARTING = "STARTING"
    HEALTHY = "HEALTHY"
    #: It answers what it was asked, and is asked no more.
    DRAINING = "DRAINING"


def new_replica_id() -> str:
    """A fresh id of a replica, which no run has; lower case, since names on the Docker daemon carry it."""
    return f"{REPLICA}{secrets.token_hex(8)}"


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One scoring server of a version; *root* is its folder, with the socket in it."""

    id: str
    deployment: str
    number: int
    executor: str
    root: str
    state: ReplicaState = ReplicaState.STARTING

    @property
    def socket(self) -> str:
        """Where it listens."""
        return f"{self.root}/{SOCKET}"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """How often in a row a version has failed to come to life, and what the last time said."""

    deployment: str
    count: int
    reason: str
    message: str
    log_tail: str = ""


@dataclass(frozen=True, kw_only=True)
class Following:
    """An alias whose model an endpoint is to serve, and the interval that was looked at last."""

    asset: str
    alias: str
    #: The model's name with the alias behind it.
    named: str
    since: datetime

    @classmethod
    def from_spec(cls, given: Mapping[str, Any] | None) -> Self | None:
        """Read it back from what a run was asked for."""
        return cls(**{**given, "since": datetime.fromisoformat(given["since"])}) if given else None

    def to_spec(self) -> dict[str, str]:
        """It as a run is asked for it."""
        return {**vars(self), "since": self.since.isoformat()}


@dataclass(frozen=True, kw_only=True)
class Behind:
    """An endpoint whose alias has moved: to which model, since when, by whom."""

    endpoint: "Endpoint"
    following: Following
    model: str
    by: str


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A name that requests are sent to: which version is wanted, which is live, and what runs for it."""

    id: str
    namespace: str
    name: str
    executor: str
    state: EndpointState
    wanted: str | None = None
    live: str | None = None
    replicas: Sequence[Replica] = ()
    failure: Failure | None = None
    #: How often it was handed to a controller; every write of a controller is fenced by it.
    generation: int = 0
    owner: str | None = None
    leased_until: datetime | None = None
    live_since: datetime | None = None
    updated_at: datetime | None = None
    #: The run that asked for what is wanted.
    asked_run: str | None = None
    #: `NAME@ALIAS` where it follows an alias, since when that one points to what was asked for last, and why nothing
    #: could be asked for.
    follows: str | None = None
    followed: datetime | None = None
    follow_message: str | None = None

    @property
    def sockets(self) -> list[str]:
        """Where the live version can be asked."""
        mine = (each for each in self.replicas if each.deployment == self.live)
        return [each.socket for each in mine if each.state is ReplicaState.HEALTHY]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        replicas = json.loads(row.get("replicas") or "[]")
        failure = json.loads(row.get("failure") or "null")
        known |= {
            "state": EndpointState(row["state"]),
            "replicas": [Replica(**{**each, "state": ReplicaState(each["state"])}) for each in replicas],
            "failure": Failure(**failure) if failure else None,
        }
        return cls(**known)


def endpoint_id(namespace: str, name: str) -> str:
    """The id of an endpoint: that of the asset whose versions are deployed there."""
    return asset_id(ArtifactKind.DEPLOYMENT, namespace, name)
