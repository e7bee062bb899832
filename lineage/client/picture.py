"""Pictures of walks: plain SVG, one column for each distance, one line for each link."""

from collections.abc import Sequence
from html import escape

from lineage.artifacts import ArtifactKind
from lineage.client.artifacts import Artifact

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 190, 34, 60, 8, 12  # pixels
LAYER_LIMIT = 30  # boxes in one column; the rest is counted
NAME_LIMIT = 27  # characters of a name that fit a box

K = ArtifactKind
COLOURS = {
    K.DATASET: "#cfe3f5",
    K.COLUMN: "#e3eef8",
    K.FEATURE: "#d9f0e0",
    K.FEATURE_SET: "#c4e8d0",
    K.TRAINING_SET: "#aedfc0",
    K.MODEL: "#f9d9b0",
    K.EVALUATION: "#f3e6f7",
    K.PREDICTIONS: "#f8cccc",
    K.DEPLOYMENT: "#f4b6b6",
}
OTHER = "#eeeeee"


def draw(layers: Sequence[Sequence[Artifact]], links: Sequence[tuple[str, str, str]], note: str = "") -> str:
    """Draw *layers* from left to right with *links* (id, id, type) between what is shown."""
    shown = [layer[:LAYER_LIMIT] for layer in layers]
    places = {
        artifact.id: (MARGIN + x * (WIDTH + GAP_X), MARGIN + y * (HEIGHT + GAP_Y))
        for x, layer in enumerate(shown)
        for y, artifact in enumerate(layer)
    }
    rows = max((min(len(layer), LAYER_LIMIT + 1) for layer in layers), default=0)
    width = 2 * MARGIN + max(len(layers), 1) * (WIDTH + GAP_X) - GAP_X
    height = 2 * MARGIN + rows * (HEIGHT + GAP_Y) + 16
    lines = [_line(places[a], places[b], type_) for a, b, type_ in links if a in places and b in places]
    boxes = [_box(artifact, *places[artifact.id]) for layer in shown for artifact in layer]
    rest = [_rest(x, len(layer) - LAYER_LIMIT) for x, layer in enumerate(layers) if len(layer) > LAYER_LIMIT]
    foot = f'<text x="{MARGIN}" y="{height - 6}" fill="#666">{escape(note)}</text>'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
    )
    return "\n".join([head, *lines, *boxes, *rest, foot, "</svg>"])


def _line(a: tuple[int, int], b: tuple[int, int], type_: str) -> str:
    (x1, y1), (x2, y2) = sorted((a, b))
    start, end = x1 + WIDTH, x2 if x2 > x1 else x2 + WIDTH
    y1, y2, bend = y1 + HEIGHT // 2, y2 + HEIGHT // 2, GAP_X // 2
    curve = f"M{start},{y1} C{start + bend},{y1} {end - bend if x2 > x1 else end + bend},{y2} {end},{y2}"
    return f'<path d="{curve}" fill="none" stroke="#aaa"><title>{escape(type_)}</title></path>'


def _box(artifact: Artifact, x: int, y: int) -> str:
    name = artifact.name if len(artifact.name) <= NAME_LIMIT else artifact.name[: NAME_LIMIT - 1] + "…"
    aliases = "".join(f" @{alias}" for alias in artifact.aliases)
    colour, dash = COLOURS.get(artifact.kind, OTHER), ' stroke-dasharray="4"' if artifact.retracted_at else ""
    return (
        f"<g><title>{escape(f'{artifact}{aliases}')}</title>"
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4" fill="{colour}" stroke="#777"{dash}/>'
        f'<text x="{x + 6}" y="{y + 13}" fill="#555">{escape(artifact.kind.value)}{escape(aliases)}</text>'
        f'<text x="{x + 6}" y="{y + 27}" fill="#111">{escape(name)}</text></g>'
    )


def _rest(x: int, count: int) -> str:
    left, top = MARGIN + x * (WIDTH + GAP_X), MARGIN + LAYER_LIMIT * (HEIGHT + GAP_Y)
    return f'<text x="{left + 6}" y="{top + 16}" fill="#555">and {count} more</text>'
