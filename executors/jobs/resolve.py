"""Runs that make environments: packages resolved to a lock, and what is built of it."""

from typing import Any

from executors import environments
from executors.jobs import stage
from executors.jobs.job import Job, Landing
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, digest_of
from lineage.environments import PYTHON
from lineage.runs import RunState

K = ArtifactKind
#: What an environment may have beside its lock; it counts for its identity where it is given.
SURROUNDINGS = ("system_packages", "base_image", "command")


async def resolve(job: Job) -> Landing:
    """Resolve an environment's packages to a lock with hashes, and keep the lock."""
    spec = job.spec
    await job.advance(state=RunState.RUNNING, phase="resolve")
    lock = await _locked(job)
    stored = await job.files.put_bytes(lock.text.encode())
    identity = {
        "language": spec["language"],
        "version": lock.version,
        "platform": lock.platform,
        "lock": stored.sha256,
        **{name: spec[name] for name in SURROUNDINGS if spec.get(name)},
    }
    body = {
        **identity,
        "packages": sorted(spec["packages"]),
        "locked": [{"name": name, "version": version} for name, version in lock.locked],
        **_conda(spec, lock),
    }
    environment = Artifact(
        kind=K.ENVIRONMENT,
        name=spec["name"],
        namespace=spec["namespace"],
        digest=digest_of(identity),
        body=body,
        description=spec["description"],
        tags=tuple(spec["tags"]),
    )
    packages = [_package("pypi", name, version) for name, version in lock.locked]
    packages += [_package("conda", each["name"], each["version"]) for each in lock.conda]
    edges = [Edge(type=EdgeType.INCLUDES, source=environment.id, target=package.id) for package in packages]
    return Landing(artifacts=[environment, *packages], edges=edges, result={"environment": environment.id})


async def _locked(job: Job) -> environments.Lock:
    spec = job.spec
    wanted = spec.get("conda") or {}
    channels, theirs = wanted.get("channels", ()), wanted.get("packages", ())
    if spec["language"] == PYTHON:
        return await environments.resolve(
            spec["packages"],
            version=spec["version"],
            settings=job.settings,
            log=job.log,
            channels=channels,
            conda_packages=theirs,
        )
    return environments.Lock(text="", locked=(), platform=environments.platform(), version=spec["version"] or "")


def _conda(spec: Any, lock: environments.Lock) -> dict[str, Any]:
    """What of the environment comes from channels of conda, as its body keeps it."""
    if not lock.conda:
        return {}
    locked = [{name: each[name] for name in ("name", "version", "build")} for each in lock.conda]
    wanted = spec["conda"]
    return {"conda": {"channels": wanted["channels"], "packages": sorted(wanted["packages"]), "locked": locked}}


def _package(index: str, name: str, version: str) -> Artifact:
    return Artifact.defined(K.PACKAGE, name, {"name": name, "version": version}, namespace=index, version=version)


async def build(job: Job) -> Landing:
    """Make an environment ready where the executor runs it; the image, where it makes one, is recorded."""
    environment = await job.store.artifacts.one(job.spec["environment"], K.ENVIRONMENT)
    found = await stage.ready(job, environment)
    result = {"environment": environment.id}
    if found.artifact is None:
        return Landing(result=result)
    return Landing(artifacts=[found.artifact], edges=found.edges, result={**result, "image": found.artifact.id})
