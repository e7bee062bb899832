"""An audit as one HTML page that needs nothing else: no script, no network, every word of the graph escaped."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

AXES = {"roc": ("fpr", "tpr"), "precision_recall": ("recall", "precision")}
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2733 }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid #dde3ea; padding: .3rem .6rem }
td, th { text-align: left; vertical-align: top; overflow-wrap: anywhere } td:first-child { width: 14rem }
code, pre { font: 13px/1.4 ui-monospace, monospace; white-space: pre-wrap }
.bad { color: #a3122a } .good { color: #146c3a }
svg { width: 16rem; height: 16rem; margin-right: 1rem } svg path { fill: none; stroke: #2458a6; stroke-width: 1 }
svg rect { fill: none; stroke: #c6cfd9; stroke-width: .5 } svg text { font-size: 6px; fill: #55606c }
"""


def page(export: Mapping[str, Any]) -> str:
    """The page of an audit's *export*, which keeps the export itself at its end, for machines."""
    model = export["model"]
    title = f"Audit of {model['name']} {model['version']}"
    whole = json.dumps(export, indent=1, sort_keys=True, ensure_ascii=False)
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{_verdict(export)}</p><p>Seal <code>{escape(str(export['seal']))}</code></p>",
        _gaps(export["gaps"]),
        *_sections(export["facts"]),
        _digests(export["verified"]),
        f"<h2>All of it</h2><details><summary>JSON</summary><pre>{escape(whole)}</pre></details>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{STYLE}</style>'
    policy = "default-src 'none'; style-src 'unsafe-inline'"  # whatever got in here, nothing of it runs or loads
    meta = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return f'<!doctype html><html lang="en"><head>{meta}{head}</head><body>{"".join(parts)}</body></html>\n'


def _verdict(export: Mapping[str, Any]) -> str:
    if export["complete"]:
        return '<strong class="good">The record is complete, and the bytes that were read are those recorded.</strong>'
    changed = sum(not each["verified"] for each in export["verified"])
    return f'<strong class="bad">{len(export["gaps"])} gaps, {changed} digests that do not match.</strong>'


def _gaps(gaps: Sequence[Mapping[str, Any]]) -> str:
    rows = [(str(each["section"]), str(each["message"])) for each in gaps]
    return f"<h2>Gaps</h2>{_table(rows)}" if rows else ""


def _sections(facts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for section in dict.fromkeys(str(fact["section"]) for fact in facts):
        rows, drawn = [], []
        for fact in facts:
            if fact["section"] != section:
                continue
            if fact["name"] == "curves" and isinstance(fact["value"], Mapping):
                drawn += [_curve(str(name), curve) for name, curve in fact["value"].items()]
            else:
                rows.append((str(fact["name"]), _text(fact["value"])))
        yield f"<h2>{escape(section.capitalize())}</h2>{_table(rows)}{''.join(drawn)}"


def _digests(verified: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (str(each["what"]), f"{each['digest']} {'as recorded' if each['verified'] else each['message']}")
        for each in verified
    ]
    return f"<h2>Digests</h2>{_table(rows)}" if rows else ""


def _table(rows: Sequence[tuple[str, str]]) -> str:
    lines = (f"<tr><td>{escape(name)}</td><td><code>{escape(value)}</code></td></tr>" for name, value in rows)
    return f"<table>{''.join(lines)}</table>"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _curve(name: str, curve: Any) -> str:
    """A curve that we know, in a box; nothing where it is another, or of another shape."""
    axes: list[Any] = [curve.get(axis) for axis in AXES.get(name, ())] if isinstance(curve, Mapping) else []
    if not axes or not all(map(_is_unit, axes)) or len(axes[0]) != len(axes[1]):
        return ""
    points = " ".join(f"{100 * x:.2f},{100 - 100 * y:.2f}" for x, y in zip(*axes, strict=True))
    label = f"{AXES[name][1]} over {AXES[name][0]}"
    return (
        f'<svg viewBox="-2 -10 104 114" role="img" aria-label="{label}"><text x="0" y="-3">{label}</text>'
        f'<rect width="100" height="100"/><path d="M {points}"/></svg>'
    )


def _is_unit(values: Any) -> bool:
    return (
        isinstance(values, list)
        and bool(values)
        and all(isinstance(each, int | float) and 0 <= each <= 1 for each in values)
    )
