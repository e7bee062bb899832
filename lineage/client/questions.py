"""The questions: artifacts, walks, audits, runs and their logs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lineage.artifacts import ArtifactKind
from lineage.client import documents, waiting
from lineage.client.answers import Rows
from lineage.client.artifacts import Artifact, Audit, AuditProgress
from lineage.client.comparisons import Comparison
from lineage.client.runs import Run, Trial, as_kind
from lineage.client.session import PAGE, Ref, id_of
from lineage.client.waiting import Progress
from lineage.client.walking import Walking
from lineage.errors import NotFound


class Questions(Walking):
    """Everything that is asked of the graph."""

    def artifact(
        self, kind: ArtifactKind | str, name: str, version: str | None = None, namespace: str = "default"
    ) -> Artifact:
        """A version of a name: the one given, that of "@alias", or the newest; raise NotFound."""
        found = self.query(
            documents.ARTIFACT_BY_NAME, kind=as_kind(kind).name, name=name, namespace=namespace, version=version
        )["artifact"]
        if found is None:
            which = f"{name} {version}" if version else name
            raise NotFound(f"there is no {as_kind(kind).value} {which!r} in the namespace {namespace!r}")
        return Artifact.read(found)

    def node(self, id: str) -> Artifact:
        """The artifact with an id; raise NotFound."""
        found = self.query(documents.ARTIFACT_BY_ID, id=id)["node"]
        if not found:
            raise NotFound(f"there is no artifact with the id {id!r}")
        return Artifact.read(found)

    def environment_yml(self, environment: Ref) -> str:
        """The text of an environment.yml with the exact versions of an environment; raise NotFound."""
        found = self.query(documents.ENVIRONMENT_YML, id=id_of(environment))["node"]
        if not found:
            raise NotFound(f"there is no environment with the id {id_of(environment)!r}")
        return str(found["yaml"])

    def artifacts(
        self, *, kinds: Sequence[ArtifactKind | str] = (), first: int = PAGE, **filter: Any
    ) -> Rows[Artifact]:
        """The newest artifacts; *filter* takes namespace, name, tag, alias, retracted."""
        wanted = {**filter, **({"kinds": _kinds(kinds)} if kinds else {})}
        return self._pages(documents.ARTIFACTS, Artifact, first, filter=wanted)

    def audit(
        self, model: Ref, *, verify: bool = True, progress: Callable[[AuditProgress], None] | None = None
    ) -> Audit:
        """Where a model comes from, whether the record is whole, and whether the bytes are still those recorded.

        Args:
            verify: read the bytes again and compare their digests, however long it takes.
            progress: called before each of them.
        """
        if not verify:
            return Audit.read(self.query(documents.AUDIT, model=id_of(model))["audit"])

        def tell(data: Mapping[str, Any]) -> None:
            step = data["auditAdvanced"]
            if progress is not None:
                progress(AuditProgress(done=step["done"], total=step["total"], reading=step["reading"]))

        done = self._transport.follow(documents.AUDIT_ADVANCED, {"model": id_of(model)}, tell)
        return Audit.read(done["auditAdvanced"]["audit"])

    def prov(self, model: Ref) -> dict[str, Any]:
        """All that a model comes from, as a document of W3C PROV in its form PROV-JSON."""
        return self.query(documents.PROV, model=id_of(model))["audit"]["prov"]  # type: ignore[no-any-return]

    def compare(self, a: Ref, b: Ref) -> Comparison:
        """What differs between two artifacts of one kind, and their nearest common ancestors."""
        return Comparison.read(self.query(documents.COMPARE, a=id_of(a), b=id_of(b))["compare"])

    def run(self, id: Ref) -> Run:
        """One run with what it used and made; raise NotFound."""
        return self._run(documents.RUN_BY_ID, id_of(id))

    def runs(self, *, kinds: Sequence[str] = (), states: Sequence[str] = (), first: int = 20) -> Rows[Run]:
        """The newest runs."""
        named = {"kinds": [each.upper() for each in kinds], "states": [each.upper() for each in states]}
        return self._pages(documents.RUNS, Run, first, filter={name: each for name, each in named.items() if each})

    def trials(self, run: Ref, first: int = 1000) -> Rows[Trial]:
        """The trials of a tuning run, by number."""
        return self._pages(documents.TRIALS, Trial, first, within="run", id=id_of(run))

    def log(self, run: Ref, after: int = 0) -> tuple[str, int]:
        """The text of a run's log from position *after* on, and the position to go on from."""
        found = self.query(documents.LOG, id=id_of(run), after=after)["run"]
        if found is None:
            raise NotFound(f"there is no run with the id {id_of(run)!r}")
        return str(found["log"]["text"]), int(found["log"]["next"])

    def status(self) -> dict[str, Any]:
        """The versions of the server and of Neo4j, and the executors there are."""
        return dict(self.query(documents.STATUS)["status"])

    def wait(
        self, run: Ref, *, progress: Progress | bool | None = None, timeout: float | None = None, check: bool = True
    ) -> Run:
        """Wait until a run is over, whoever restarts meanwhile.

        Args:
            progress: called with the run at each look; True draws a bar.
            timeout: seconds; Unavailable is raised after them.
            check: raise ExecutionFailed, with the end of the log, when it did not succeed.
        """
        id = id_of(run)
        with waiting.shown(progress) as tell:
            waiting.until_over(
                lambda: self._run(documents.RUN_WATCHED, id),
                is_over=lambda run: run.is_over,
                tell=tell,
                timeout=timeout,
                patience=self._transport,
            )
        done = self.run(id)
        if check:
            waiting.require_success(done, lambda: self.log(id)[0])
        return done

    def _run(self, document: str, id: str) -> Run:
        found = self.query(document, id=id)["run"]
        if found is None:
            raise NotFound(f"there is no run with the id {id!r}")
        return Run.read(found)


def _kinds(kinds: Sequence[ArtifactKind | str]) -> list[str]:
    return [as_kind(kind).name for kind in kinds]
