"""What the commands of the life cycle do and print."""

from rich.markup import escape

from lineage.artifacts import ArtifactKind
from lineage.cli import printing
from lineage.cli.asking import find
from lineage.cli.printing import out, table
from lineage.client import Artifact, Client, Reproduction
from lineage.reproducibility import Reproduced

WORDS = {
    Reproduced.EQUAL: "[green]equal[/green]: the same bytes",
    Reproduced.EQUIVALENT: "[green]equivalent[/green]: other bytes, the same numbers",
    Reproduced.DIFFERENT: "[red]different[/red]",
}
SHORT = 12  # hex digits of a digest that a table shows


def reproduce(client: Client, what: str, *, executor: str | None, namespace: str, wait: bool, as_json: bool) -> bool:
    """Make *what* again and print the verdict; False when it differs."""
    artifact = find(client, what, namespace=namespace, kind=ArtifactKind.MODEL)
    run = client.reproduce(artifact, executor=executor)
    if not wait:
        printing.as_json(run) if as_json else print(run.id)
        return True
    client.wait(run, progress=not as_json)
    found = next(each for each in client.reproductions(artifact) if each.run.id == run.id)
    printing.as_json(found) if as_json else verdict(artifact, found)
    return found.verdict is not Reproduced.DIFFERENT


def verdict(artifact: Artifact, found: Reproduction) -> None:
    """Print how what was made again compares with *artifact*."""
    out.print(f"{escape(str(artifact))} made again is {WORDS[found.verdict]}")
    rows = [(each.what, _short(each.recorded), _short(each.reproduced)) for each in found.digests]
    out.print(table(rows, "file", "recorded", "made again"))
    apart = [each for each in found.metrics if each.difference != 0]
    if apart:
        metrics = [(each.metric, each.recorded, each.reproduced, each.difference) for each in apart]
        out.print(table(metrics, "metric", "recorded", "made again", "difference"))
    if found.surroundings:
        places = [(each.name, each.recorded, each.reproduced) for each in found.surroundings]
        out.print(table(places, "place", "recorded", "made again"))


def _short(digest: str | None) -> str | None:
    return digest and digest[:SHORT]
