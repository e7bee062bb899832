"""The command that opens a notebook in an environment."""

from pathlib import Path
from typing import Annotated

import typer

from lineage.artifacts import ArtifactKind
from lineage.cli.app import AsJson, Home, Namespace, app, client_of
from lineage.client import Artifact, Client
from lineage.errors import InvalidInput
from lineage.settings import Settings

OLDEST = (3, 11)  # Python that the client runs on


@app.command()
def notebook(
    environment: Annotated[str, typer.Option("--environment", "-e", help="NAME, NAME@ALIAS, or an id.")],
    folder: Annotated[Path, typer.Option(help="The project, to work in and to keep the notebooks in.")] = Path("."),
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 picks a free one.", min=0, max=65535)] = 8888,
    network: Annotated[bool, typer.Option("--network", help="Let what runs in it reach the network.")] = False,
    memory: Annotated[int | None, typer.Option(help="Mebibytes that all of it may have.", min=256)] = None,
    cpus: Annotated[float | None, typer.Option(help="Processors that all of it may have.", min=0.1)] = None,
    browser: Annotated[bool, typer.Option("--browser", help="Open it in a browser.")] = False,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """JupyterLab in a container of an environment, until Ctrl-C; what it trains goes through this API.

    The environment's image is built if needed, and stays as it is: JupyterLab is a layer over it.
    """
    from lineage.cli import processes

    settings = Settings.from_environ(home=home)
    with client_of(home) as client:
        found = _environment(client, environment, namespace)
    words = [f"--environment={found.id}", f"--folder={folder}", f"--port={port}"]
    words += [f"--{name}={value}" for name, value in (("memory", memory), ("cpus", cpus)) if value]
    words += [f"--{name}" for name, on in (("network", network), ("browser", browser), ("json", as_json)) if on]
    processes.become("executors.notebooks", settings, *words)


def _environment(client: Client, what: str, namespace: str) -> Artifact:
    from lineage.cli import asking

    found = asking.find(client, what, namespace=namespace, kind=ArtifactKind.ENVIRONMENT)
    if found.kind is not ArtifactKind.ENVIRONMENT:
        raise InvalidInput(f"{found} is no Environment", field="environment")
    language, version = str(found.body.get("language") or "python"), str(found.body.get("version") or "")
    if language != "python":
        message = f"{found.name} is an environment of {language}; notebooks are of Python's alone"
        raise InvalidInput(message, field="environment")
    if tuple(int(each) for each in version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        message = f"{found.name} has Python {version}; the client, which comes with a notebook, needs {oldest} or newer"
        raise InvalidInput(message, field="environment")
    return found
