"""The commands. Each imports what it needs when it runs, so that `lineage --help` is quick."""

import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from lineage.errors import ExecutionFailed, InvalidInput, LineageError
from lineage.settings import Settings

app = typer.Typer(
    name="lineage",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Lineage of machine learning as a graph: register, train, ask what depends on what.",
)
runs = typer.Typer(no_args_is_help=True, help="List runs, look at one, read its log, cancel it.")
app.add_typer(runs, name="run")
environments = typer.Typer(no_args_is_help=True, help="Exchange environments with others as environment.yml.")
app.add_typer(environments, name="environment")

Host = Annotated[str | None, typer.Option(help="Address to listen on; anything but loopback needs LINEAGE_TOKEN.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 picks a free one.", min=0, max=65535)]
Home = Annotated[Path | None, typer.Option(help="Data directory; by default LINEAGE_HOME.", file_okay=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
First = Annotated[int, typer.Option(help="How many to show.", min=1, max=500)]
Namespace = Annotated[str, typer.Option(help="Namespace of the name.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only this kind; may be given more than once.")]
What = Annotated[str, typer.Argument(help="An id; KIND:NAME; KIND:NAME:VERSION; or KIND:NAME@ALIAS.")]
RunId = Annotated[str, typer.Argument(help="Id of the run.")]


def run(arguments: Sequence[str]) -> int:
    """Do what *arguments* say; an error is one clear line and the exit code 1, wrong usage 2."""
    try:
        app(args=list(arguments), prog_name="lineage")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return 130
    except LineageError as error:
        _complain(error)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _complain(error: LineageError) -> None:
    print(f"lineage: {error}", file=sys.stderr)
    if isinstance(error, ExecutionFailed) and error.log_tail:
        print(error.log_tail.rstrip(), file=sys.stderr)


def _settings(**given: Any) -> Settings:
    settings = Settings.from_environ(**{name: value for name, value in given.items() if value is not None})
    if not settings.is_loopback and not settings.token:
        message = f"listening on {settings.host} lets others in; set LINEAGE_TOKEN, or listen on 127.0.0.1"
        raise InvalidInput(message, field="token")
    return settings


def client_of(home: Path | None) -> Any:
    """A client of the API that runs on the data directory *home*."""
    from lineage.client import Client

    return Client(settings=Settings.from_environ(home=home), patience=2.0)


@app.command()
def up(
    host: Host = None,
    port: Port = None,
    home: Home = None,
    workers: Annotated[int, typer.Option(help="Workers to start.", min=0, max=64)] = 1,
    as_json: AsJson = False,
) -> None:
    """Start everything: Neo4j (the embedded one unless LINEAGE_NEO4J_URI is set), the API, a worker."""
    from lineage.cli import stack

    stack.keep(_settings(host=host, port=port, home=home), workers=workers, as_json=as_json)


@app.command()
def serve(host: Host = None, port: Port = None, home: Home = None) -> None:
    """Serve the API alone."""
    from lineage.cli import processes

    processes.become("api", _settings(host=host, port=port, home=home))


@app.command()
def work(home: Home = None) -> None:
    """Do runs: one worker, beside any number of others."""
    from lineage.cli import processes

    processes.become("executors", Settings.from_environ(home=home))


@app.command()
def demo(
    host: Host = None,
    port: Port = None,
    home: Home = None,
    trials: Annotated[int, typer.Option(help="Trials of the search.", min=1, max=1000)] = 8,
    stay: Annotated[bool, typer.Option("--stay", help="Keep serving at the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show all of it on real data: 336,776 flights, from the files to a promoted model and its lineage."""
    from lineage.demo import show

    show.demo(_settings(host=host, port=port, home=home), trials=trials, stay=stay, as_json=as_json)


@app.command()
def doctor(home: Home = None, as_json: AsJson = False) -> None:
    """Say what is installed, what can be reached, and how everything is set.

    The exit code is 1 when something that is needed is missing or wrong.
    """
    from lineage.cli import doctor as checks

    settings, faults = Settings.examine(home=home)
    if not checks.report(settings, faults, as_json=as_json):
        raise typer.Exit(1)


@app.command()
def impact(
    what: What,
    kind: Kinds = None,
    depth: Annotated[int | None, typer.Option(help="Longest distance.", min=1)] = None,
    first: First = 100,
    stop: Annotated[list[str] | None, typer.Option(help="Go no further at this kind.")] = None,
    edge: Annotated[list[str] | None, typer.Option(help="Go over this type of edge, such as TRAINED_ON.")] = None,
    as_of: Annotated[datetime | None, typer.Option(help="As the graph was at this instant, UTC.")] = None,
    retracted: Annotated[bool, typer.Option("--retracted", help="Show what was retracted too.")] = False,
    tag: Annotated[list[str] | None, typer.Option(help="Only with this tag.")] = None,
    alias: Annotated[str | None, typer.Option(help="Only what this alias points to.")] = None,
    owner: Annotated[str | None, typer.Option(help="Only what this one has recorded.")] = None,
    live: Annotated[bool | None, typer.Option(help="Only what serves, or what that depends on; or all else.")] = None,
    count: Annotated[bool, typer.Option("--count", help="Count alone, by kind, owner and deployment.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All of it, a line of JSON for each.")] = False,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What depends on it: everything that is affected when it is wrong, the nearest first."""
    from lineage.cli import asking

    bounds = {
        "kinds": kind or [],
        "max_depth": depth,
        "stop_kinds": stop or [],
        "types": edge or [],
        "as_of": as_of,
        "retracted": retracted,
        "tags": tag,
        "alias": alias,
        "created_by": owner,
        "live": live,
    }
    asking.impact(
        client_of(home),
        what,
        bounds=bounds,
        first=first,
        namespace=namespace,
        count=count,
        every=every,
        as_json=as_json,
    )


@app.command()
def audit(
    what: What,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
    export: Annotated[
        Path | None, typer.Option(help="Write it to this file: .html, .prov.json (W3C PROV) or .json.", dir_okay=False)
    ] = None,
    check: Annotated[
        Path | None, typer.Option(help="Compare with an audit exported before as .json.", exists=True, dir_okay=False)
    ] = None,
    verify: Annotated[bool, typer.Option(help="Read the bytes again and compare their digests.")] = True,
) -> None:
    """Where a model comes from, whether the record is whole, and whether the bytes still match it.

    A bar on stderr says how far reading the bytes is. With --json the whole audit is printed. The exit code is 1 when
    the record has gaps, or differs from --check.
    """
    from lineage.cli import auditing

    files = auditing.Files(export=export, check=check)
    if not auditing.audit(client_of(home), what, namespace=namespace, as_json=as_json, verify=verify, files=files):
        raise typer.Exit(1)


@app.command()
def compare(
    first: What,
    second: Annotated[str, typer.Argument(help="The other one, named in the same way.")],
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """What differs between two artifacts of one kind, in all that they were made of, and what both come from."""
    from lineage.cli import asking

    asking.compare(client_of(home), first, second, namespace=namespace, as_json=as_json)


@runs.command("list")
def list_runs(
    kind: Kinds = None,
    state: Annotated[list[str] | None, typer.Option(help="Only this state; may be given more than once.")] = None,
    first: First = 20,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """The newest runs."""
    from lineage.cli import asking

    asking.list_runs(client_of(home), kinds=kind or [], states=state or [], first=first, as_json=as_json)


@runs.command("show")
def show_run(run: RunId, home: Home = None, as_json: AsJson = False) -> None:
    """One run: its state, what it used and made, its trials."""
    from lineage.cli import asking

    asking.show_run(client_of(home), run, as_json=as_json)


@app.command("logs")
@runs.command("logs")
def show_log(
    run: RunId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run is over.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """The log of a run."""
    from lineage.cli import asking

    asking.show_log(client_of(home), run, follow=follow, as_json=as_json)


@runs.command("cancel")
def cancel_run(run: RunId, home: Home = None, as_json: AsJson = False) -> None:
    """Ask a run to stop."""
    from lineage.cli import asking

    asking.cancel_run(client_of(home), run, as_json=as_json)


@app.command()
def build(
    environment: What,
    executor: Annotated[str | None, typer.Option(help="Where it will run: docker makes an image.")] = None,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Build an environment ahead of the runs that need it."""
    from lineage.cli import environments as commands

    commands.build(client_of(home), environment, executor=executor, namespace=namespace, as_json=as_json)


@environments.command("export")
def export_environment(
    environment: What, namespace: Namespace = "default", home: Home = None, as_json: AsJson = False
) -> None:
    """Print an environment as environment.yml, every version exact."""
    from lineage.cli import environments as commands

    commands.export(client_of(home), environment, namespace=namespace, as_json=as_json)


@environments.command("import")
def import_environment(
    file: Annotated[Path, typer.Argument(help="An environment.yml; - reads standard input.")],
    name: Annotated[str | None, typer.Option(help="Its name here; by default that in the file.")] = None,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Register what an environment.yml asks for."""
    from lineage.cli import environments as commands

    commands.load(client_of(home), file, name=name, namespace=namespace, as_json=as_json)
