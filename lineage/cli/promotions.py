"""The commands of benchmarks, promotions and aliases."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lineage.cli.app import AsJson, Home, Namespace, app, client_of

if TYPE_CHECKING:
    from lineage.client import PromotionRequest

ModelRef = Annotated[str, typer.Argument(help="A model: its id, NAME, or NAME@ALIAS.")]
Alias = Annotated[str, typer.Option(help="The alias that moves.")]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the graph.")]


@app.command()
def benchmark(
    name: Annotated[str, typer.Argument(help="Name of the benchmark.")],
    models: Annotated[list[str], typer.Argument(help="Models: ids, NAME, or NAME@ALIAS.")],
    champion: Annotated[str | None, typer.Option(help="Who they are held against; by default NAME@champion.")] = None,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Score models and their champion on the same rows, and say what the gate says of each.

    The exit code is 1 when one of them was refused.
    """
    from lineage.cli import printing

    client = client_of(home)
    found = client.artifact("Benchmark", name, namespace=namespace)
    chosen = [_model(client, each, namespace) for each in models]
    against = _model(client, champion, namespace) if champion else None
    run = client.run_benchmark(found, *chosen, champion=against)
    done = client.wait(run, progress=not as_json)
    verdicts = [each for each in done.generated if each.kind == "GateVerdict"]
    if as_json:
        printing.as_json({"run": done.id, "verdicts": verdicts})
    else:
        for each in verdicts:
            _print_verdict(each)
    if any(each.body["state"] == "REFUSED" for each in verdicts):
        raise typer.Exit(1)


@app.command()
def promote(
    model: ModelRef,
    alias: Alias = "champion",
    benchmark: Annotated[str | None, typer.Option(help="Name of the benchmark that is the gate.")] = None,
    automatic: Annotated[bool, typer.Option("--automatic", help="Move it when the gate says PASSED.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Without a benchmark: though a bar was missed.")] = False,
    reason: Reason = None,
    expected: Annotated[
        str | None, typer.Option(help="Without a benchmark: only if it points to this model; '' is to none yet.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for the gate.")] = True,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Move an alias to a model: at once when its latest evaluation passed, or through the gate of a benchmark.

    With a benchmark this asks for the promotion; the exit code is 1 when the gate refuses it.
    """
    from lineage.cli import printing

    client = client_of(home)
    chosen = _model(client, model, namespace)
    if benchmark is None:
        seen = _model(client, expected, namespace) if expected else expected
        moved = client.promote(chosen, alias, force=force, reason=reason, expected=seen)
        printing.as_json(moved) if as_json else print(f"{alias} is {chosen}")
        return
    gate = client.artifact("Benchmark", benchmark, namespace=namespace)
    asked = client.request_promotion(chosen, alias, benchmark=gate, automatic=automatic, reason=reason)
    _show(client.wait_for_gate(asked, progress=not as_json) if wait else asked, as_json)


promotions = typer.Typer(no_args_is_help=True, help="Requests for promotion: list, show, approve, reject.")
app.add_typer(promotions, name="promotion")
Id = Annotated[str, typer.Argument(help="Id of the request.")]


@promotions.command("list")
def list_promotions(
    model: Annotated[str | None, typer.Argument(help="Only those of the models with this name.")] = None,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Requests for promotion, the newest first."""
    from lineage.cli import printing

    found = client_of(home).promotions(model, namespace=namespace)
    if as_json:
        printing.as_json({"promotions": found})
        return
    rows = [(each.id, each.alias, str(each.model), each.state, each.gate, each.created_by) for each in found]
    printing.out.print(printing.table(rows, "id", "alias", "model", "state", "gate", "asked by"))


@promotions.command("show")
def show_promotion(id: Id, home: Home = None, as_json: AsJson = False) -> None:
    """One request, with the numbers of both sides."""
    _show(client_of(home).promotion(id), as_json, fails=False)


@promotions.command("approve")
def approve_promotion(
    id: Id,
    override: Annotated[bool, typer.Option("--override", help="Though the gate has not passed it.")] = False,
    reason: Reason = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say yes: the alias moves."""
    _show(client_of(home).approve_promotion(id, override=override, reason=reason), as_json)


@promotions.command("reject")
def reject_promotion(
    id: Id,
    reason: Annotated[str, typer.Option(help="Why; kept in the graph.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say no: the alias stays where it is."""
    _show(client_of(home).reject_promotion(id, reason), as_json)


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(help="Name of the models.")],
    alias: Alias = "champion",
    reason: Reason = None,
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Point an alias at the version before again; twice goes two versions back."""
    from lineage.cli import printing

    found = client_of(home).rollback(name, alias, namespace=namespace, reason=reason)
    printing.as_json({"alias": alias, "model": found}) if as_json else print(f"{alias} is {found} again")


@app.command()
def aliases(
    name: Annotated[str, typer.Argument(help="Name of the models.")],
    namespace: Namespace = "default",
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Where the aliases of a name pointed, since when, moved by whom and why; the newest first."""
    from lineage.cli import printing

    found = client_of(home).alias_history(name, namespace=namespace)
    if as_json:
        printing.as_json({"aliases": found})
        return
    rows = [(each.alias, each.artifact.version, each.since, each.until, each.by, each.reason) for each in found]
    printing.out.print(printing.table(rows, "alias", "version", "since", "until", "by", "why"))


def _model(client: Any, what: str, namespace: str) -> Any:
    from lineage.artifacts import ArtifactKind
    from lineage.cli.asking import find

    return find(client, what, namespace=namespace, kind=ArtifactKind.MODEL)


def _print_verdict(verdict: Any) -> None:
    from lineage.cli import printing

    body = verdict.body
    print(f"{verdict.name}: {body['state']}, {body['message']}")
    rows = [
        tuple(each[name] for name in ("metric", "champion", "challenger", "difference", "low", "high", "passed"))
        for each in body["metrics"]
    ]
    printing.out.print(printing.table(rows, "metric", "champion", "challenger", "difference", "low", "high", "passed"))


def _show(found: "PromotionRequest", as_json: bool, *, fails: bool = True) -> None:
    from lineage.cli import printing

    if as_json:
        printing.as_json(found)
    else:
        print(f"{found.id}: {found.alias} to {found.model} is {found.state}; {found.message or 'no gate'}")
        if found.verdict is not None:
            _print_verdict(found.verdict)
    if fails and found.state in {"REFUSED", "FAILED", "OUTDATED"}:
        raise typer.Exit(1)
