"""`lineage record`: lineage of other systems from a file or a pipe."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from lineage.cli.app import AsJson, Home, app, client_of
from lineage.errors import InvalidInput, LineageError

PIECE = 2_000  # nodes and edges of one call
LISTS = ("nodes", "edges")


@app.command()
def record(
    file: Annotated[
        str, typer.Argument(help="JSON, or a JSON object in each line, with nodes and edges; - reads stdin.")
    ],
    producer: Annotated[str | None, typer.Option(help="Who is recorded as having made it.")] = None,
    keep_rest: Annotated[bool, typer.Option("--keep-rest", help="Record what is well; list what is refused.")] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Record nodes and edges of other systems, in any order and any number of times.

    They go in calls of 2,000, each of which is recorded whole or, without --keep-rest, refused whole.
    """
    from lineage.cli import printing

    client, done = client_of(home), {"nodes": 0, "edges": 0}
    refused: list[dict[str, Any]] = []
    for piece, starts in _counted(_pieces(_items(file))):
        try:
            said = client.record_lineage(**piece, producer=producer, keep_rest=keep_rest)
        except LineageError as error:
            at = ", ".join(f"{name}[{starts[name]}]" for name in LISTS)
            kept = f"{done['nodes']} nodes and {done['edges']} edges before are recorded"
            raise InvalidInput(f"in the call that begins with {at}: {error}; {kept}") from error
        done = {name: done[name] + said[name] for name in LISTS}
        refused += [{**each, "index": each["index"] + starts[each["list"]]} for each in said["refused"]]
    if as_json:
        printing.as_json({**done, "refused": refused})
    else:
        print(f"{done['nodes']:,} nodes and {done['edges']:,} edges recorded, {len(refused)} items refused")
        for each in refused:
            print(f"{each['list']}[{each['index']}]: {each['message']}", file=sys.stderr)
    if refused:
        raise typer.Exit(1)


Pieces = Iterator[tuple[dict[str, list[Mapping[str, Any]]], dict[str, int]]]


def _counted(pieces: Pieces) -> Pieces:
    """The same, while a line on a terminal's stderr says how many items are through."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console, words = Console(stderr=True), TextColumn("{task.completed:,.0f} items recorded")
    columns, is_off = (SpinnerColumn(), words, TimeElapsedColumn()), not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=is_off) as bar:
        task = bar.add_task("record", total=None)
        for piece, starts in pieces:
            yield piece, starts
            bar.advance(task, sum(map(len, piece.values())))


def _items(file: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The items of the file, each with the name of its list, read line by line."""
    try:
        with sys.stdin if file == "-" else Path(file).open() as stream:
            head = stream.readline()
            try:
                first = json.loads(head)
            except ValueError:
                first = json.loads(head + stream.read())  # one object over several lines
            yield from _listed(first, 1)
            for number, line in enumerate(stream, 2):
                if line.strip():
                    yield from _listed(json.loads(line), number)
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read: {error}") from error
    except ValueError as error:
        raise InvalidInput(f"{file} is neither JSON nor JSON lines: {error}") from error


def _listed(event: Any, number: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if not isinstance(event, dict) or not event.keys() <= set(LISTS) or not all(map(_is_list, event.values())):
        raise InvalidInput(f"line {number}: an object with the lists nodes and edges is wanted, not {event!r:.80}")
    for name in LISTS:
        yield from ((name, each) for each in event.get(name, ()))


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _pieces(items: Iterator[tuple[str, Mapping[str, Any]]]) -> Pieces:
    """Calls of at most PIECE items, each with the indices in the whole file that its lists start from."""
    piece: dict[str, list[Mapping[str, Any]]] = {name: [] for name in LISTS}
    starts = dict.fromkeys(LISTS, 0)
    for name, item in items:
        piece[name].append(item)
        if sum(map(len, piece.values())) == PIECE:
            yield piece, starts
            starts = {name: starts[name] + len(piece[name]) for name in LISTS}
            piece = {name: [] for name in LISTS}
    if any(piece.values()):
        yield piece, starts
