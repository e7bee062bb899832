"""The commands about environments: build one, write it down as environment.yml, register such a file."""

import sys
from pathlib import Path

from lineage.artifacts import ArtifactKind
from lineage.cli import asking, printing
from lineage.client import Client, Run
from lineage.errors import InvalidInput

LARGEST_FILE = 1024 * 1024  # bytes; an environment.yml is a page


def build(client: Client, what: str, *, executor: str | None, namespace: str, as_json: bool) -> None:
    """Build an environment where *executor* runs it, showing the log meanwhile; raise ExecutionFailed when it fails."""
    found = asking.find(client, what, namespace=namespace, kind=ArtifactKind.ENVIRONMENT)
    run = client.build_environment(found, executor=executor) if executor else client.build_environment(found)
    _follow(client, run, as_json=as_json)


def export(client: Client, what: str, *, namespace: str, as_json: bool) -> None:
    """Print an environment as environment.yml."""
    found = asking.find(client, what, namespace=namespace, kind=ArtifactKind.ENVIRONMENT)
    text = client.environment_yml(found)
    if as_json:
        printing.as_json({"environment": found.id, "text": text})
    else:
        print(text, end="")


def load(client: Client, path: Path, *, name: str | None, namespace: str, as_json: bool) -> None:
    """Register what an environment.yml asks for, showing the log of its resolution; "-" reads standard input."""
    text = sys.stdin.read(LARGEST_FILE + 1) if str(path) == "-" else _read(path)
    if len(text) > LARGEST_FILE:
        raise InvalidInput(f"{path} has more than {LARGEST_FILE} bytes: it is no environment.yml", field="text")
    _follow(client, client.import_environment(text, name, namespace=namespace), as_json=as_json)


def _read(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(LARGEST_FILE + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}", field="text") from error


def _follow(client: Client, run: Run, *, as_json: bool) -> None:
    if not as_json:
        asking.show_log(client, run.id, follow=True, as_json=False)
    over = client.wait(run)
    if as_json:
        printing.as_json(over)
        return
    for made in over.generated:
        if made.kind in (ArtifactKind.ENVIRONMENT, ArtifactKind.IMAGE):
            print(f"{made.kind.value} {made.name} {made.id}")
