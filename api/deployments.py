"""Deployments in the schema: what may be asked of them, and how they come and go."""

from typing import cast

import strawberry

from api.artifacts import shown
from api.context import Info, changing
from api.inputs import Named, Started, meant, started
from api.kinds import Deployment
from api.runs import Run
from api.sdl import input_type, object_type
from lineage import deployments


@input_type
class DeployInput(Named, Started):
    """A model to be served under a name: *model* is an id, or name@alias; *replicas* are scoring servers.

    *sample* is how many of the rows that it is asked are kept on its machine, for measureDrift; 0 is none.
    With *follow* it is name@alias, and whatever the alias points to later takes the place of what is live.
    """

    model: str
    replicas: int = 1
    sample: int = 0
    follow: bool = False


@input_type
class UndeployInput:
    """The name that nothing shall serve under any more."""

    name: str
    namespace: str = "default"


@object_type
class DeployPayload:
    """The run that puts the model online; it succeeds when the new version is live."""

    run: Run


@object_type
class UndeployPayload:
    """The version that was live, if there was one."""

    deployment: Deployment | None


@object_type
class DeploymentQuery:
    """Questions about deployments."""

    @strawberry.field
    async def deployments(self, info: Info, namespace: str | None = None) -> list[Deployment]:
        """Of each deployment that is not undeployed, the version that is live, or else the one that is wanted."""
        found = await info.context.store.endpoints.list(namespace=namespace)
        ids = [each.live or each.wanted for each in found]
        versions = await info.context.loaders.present(id for id in ids if id)
        return [cast(Deployment, shown(each)) for each in versions]


@object_type
class DeploymentMutation:
    """How deployments come and go."""

    @strawberry.mutation
    async def deploy(self, info: Info, input: DeployInput) -> DeployPayload:
        """Serve a model online; a version that is live already goes on until the new one is healthy."""
        asked = meant(deployments.Deploy, input, **started(info, input))
        run = await deployments.deploy(info.context.store, asked, **changing(info))
        return DeployPayload(run=Run.of(run))

    @strawberry.mutation
    async def undeploy(self, info: Info, input: UndeployInput) -> UndeployPayload:
        """Let nothing serve under a name any more; requests that are under way are answered."""
        info.context.refresh()
        store = info.context.store
        endpoint = await deployments.undeploy(store, input.name, namespace=input.namespace, now=info.context.now())
        found = (await store.artifacts.by_ids([endpoint.live])).get(endpoint.live) if endpoint.live else None
        return UndeployPayload(deployment=cast(Deployment, shown(found)) if found else None)
