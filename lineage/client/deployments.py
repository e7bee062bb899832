"""Models online: deployed, asked, undeployed."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from lineage.client.answers import known, moment
from lineage.client.artifacts import Artifact
from lineage.client.documents import DEPLOYMENTS
from lineage.client.runs import Run
from lineage.client.session import Ref, Session, id_of


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A version of a deployment, and how it does."""

    id: str
    name: str
    version: str
    namespace: str = "default"
    #: The path of the API that rows are sent to.
    endpoint: str
    state: str
    live: bool
    live_since: datetime | None = None
    executor: str | None = None
    replicas: int | None = None
    #: How many of the rows that it is asked it keeps; None is none.
    sample: int | None = None
    healthy_replicas: int = 0
    message: str | None = None
    #: `NAME@ALIAS` where it serves whatever the alias points to.
    follows: str | None = None
    model: Artifact | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        model, since = data.get("model"), data.get("liveSince")
        read = {"model": Artifact.read(model) if model else None, "live_since": moment(since) if since else None}
        return cls(**{**known(cls, data), **read})


class Deployments(Session):
    """The verbs of online scoring."""

    def deploy(
        self,
        name: str,
        model: Ref,
        replicas: int = 1,
        *,
        follow: bool = False,
        sample: int = 0,
        namespace: str = "default",
        description: str | None = None,
        tags: Sequence[str] = (),
        executor: str | None = None,
        resources: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Run:
        """Serve a model (an id, or name@alias) under a name; the run succeeds when the new version is live.

        With *follow* the deployment goes on to serve whatever the alias points to, until something else is deployed.
        Of the rows that it is asked *sample* are kept, for `measure_drift`.
        """
        answer = self._mutate(
            "deploy",
            name=name,
            model=id_of(model),
            replicas=replicas,
            follow=follow,
            sample=sample,
            namespace=namespace,
            description=description,
            tags=list(tags),
            executor=executor,
            resources=resources,
            idempotency_key=idempotency_key or uuid.uuid4().hex,
        )
        return Run.read(answer["run"])

    def undeploy(self, name: str, *, namespace: str = "default") -> Deployment | None:
        """Let nothing serve under a name any more; the version that was live, if there was one."""
        found = self._mutate("undeploy", name=name, namespace=namespace)["deployment"]
        return Deployment.read(found) if found else None

    def deployments(self, *, namespace: str | None = None) -> list[Deployment]:
        """Everything that is deployed: the version that is live, or else the one that is wanted."""
        return [Deployment.read(each) for each in self.query(DEPLOYMENTS, namespace=namespace)["deployments"]]

    def predict(
        self, name: str, rows: Sequence[Mapping[str, Any]], *, namespace: str = "default", probabilities: bool = False
    ) -> Any:
        """What the live version says of *rows*: predictions in order, or with *probabilities* MLflow's whole answer."""
        body: dict[str, Any] = {"dataframe_records": list(rows)}
        if probabilities:
            body["params"] = {"probabilities": True}
        answer = self._transport.post(f"/deployments/{name}/invocations?namespace={namespace}", body)
        return answer if probabilities else answer["predictions"]
