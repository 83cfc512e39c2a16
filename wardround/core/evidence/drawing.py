"""The evidence graph as a picture: one SVG text, without scripts, that reads from left to right.

Claims cite sources, sources are read for observations, observations speak for and against hypotheses. Every element
has an id and says in words what it is; colours are CSS variables of the root, so that a page can set its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from wardround.core.evidence.layout import BAND_HEAD, LINE, MARGIN, PADDING, TOP, Band, Layout, Placed, layout
from wardround.core.evidence.lettering import fitted, harmless, width_of
from wardround.core.evidence.scene import Column, Link, Scene, scene
from wardround.core.evidence.weighed import WeighedItems
from wardround.core.frozen import content_id

WIDTH = 1240
"""Default width in pixels; the picture scales with its frame."""
_SIZE = 12.0
_SMALL = 10.5
_INSET = 8.0
_BOLD = 1.14
"""How much wider bold letters are."""
_HEADINGS = {
    Column.CLAIMS: "Claims",
    Column.SOURCES: "Sources",
    Column.OBSERVATIONS: "Findings",
    Column.HYPOTHESES: "Hypotheses",
}
_VERB = {
    "reads": "says there is",
    "denies": "says there is no",
    "supports": "speaks for",
    "contradicts": "speaks against",
    "cites": "cites",
    "derived_from": "is derived from",
    "same_as": "is the same as",
    "refines": "is a more exact form of",
}
_STYLE = """
.wr-ev{--wr-page:#ffffff;--wr-ink:#1b2430;--wr-soft:#5b6675;--wr-box:#f6f8fa;--wr-edge:#c3ccd6;--wr-band:#eef1f5;
--wr-for:#1a7f4b;--wr-against:#c0392b;--wr-fill:#cfe3f7;--wr-link:#8a96a5;
font-family:system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
@media (prefers-color-scheme:dark){.wr-ev:not(.wr-light){--wr-page:#12161c;--wr-ink:#e6eaf0;--wr-soft:#9aa6b5;
--wr-box:#1c232d;--wr-edge:#3a4553;--wr-band:#171d25;--wr-for:#4cc38a;--wr-against:#ff7b6b;--wr-fill:#274769;
--wr-link:#6d7a8a}}
.wr-ev.wr-dark{--wr-page:#12161c;--wr-ink:#e6eaf0;--wr-soft:#9aa6b5;--wr-box:#1c232d;--wr-edge:#3a4553;
--wr-band:#171d25;--wr-for:#4cc38a;--wr-against:#ff7b6b;--wr-fill:#274769;--wr-link:#6d7a8a}
.wr-ev .page{fill:var(--wr-page)}
.wr-ev text{fill:var(--wr-ink);font-size:12px}
.wr-ev .soft{fill:var(--wr-soft);font-size:10.5px}
.wr-ev .column{fill:var(--wr-soft);font-size:13px;font-weight:600}
.wr-ev .band rect{fill:var(--wr-band)}
.wr-ev .node rect.box{fill:var(--wr-box);stroke:var(--wr-edge)}
.wr-ev .node rect.share{fill:var(--wr-fill)}
.wr-ev .node.hypothesis .name,.wr-ev .node.observation .name{font-weight:600}
.wr-ev .node.present rect.box,.wr-ev .node.supported rect.box{stroke:var(--wr-for)}
.wr-ev .node.absent rect.box,.wr-ev .node.contradicted rect.box{stroke:var(--wr-against)}
.wr-ev .node.contested rect.box{stroke:var(--wr-against);stroke-dasharray:4 2}
.wr-ev .node.unknown rect.box{stroke-dasharray:2 3}
.wr-ev .link path{fill:none;stroke:var(--wr-link);stroke-width:1.2;stroke-opacity:.75}
.wr-ev .link.supports path{stroke:var(--wr-for);stroke-opacity:.62}
.wr-ev .link.contradicts path{stroke:var(--wr-against);stroke-opacity:.62}
.wr-ev .link.denies path{stroke:var(--wr-against);stroke-width:1}
.wr-ev .link.provenance path{stroke-dasharray:5 4}
.wr-ev .dim{opacity:.16}
.wr-ev .node:hover rect.box{stroke-width:2}
.wr-ev .link:hover path{stroke-opacity:1}
"""


def element_id(node: str) -> str:
    """Return the id that a node's element has in every drawing, for a page that attaches something to it."""
    return content_id("ev", node)


def link_id(link: Link) -> str:
    """Return the id of a link's element."""
    return content_id("evl", link.tail, link.head, link.kind)


def svg(graph: WeighedItems, *, highlight: str | None = None, width: int = WIDTH) -> str:
    """Draw the graph.

    Args:
        graph: With hypotheses; the most probable are drawn.
        highlight: A hypothesis by id, name or ICD-10 code, or the id of any node: what does not belong to it is faint.
        width: Of the picture in pixels; the height follows from what is drawn.

    Returns:
        An SVG document that can stand alone or inside an HTML page; the same graph gives the same text.

    Raises:
        UsageError: The graph has no hypotheses, or nothing of that name to highlight.
    """
    what = scene(graph, highlight)
    places = layout(what, float(width))
    return "\n".join(_document(graph, what, places)) + "\n"


def _document(graph: WeighedItems, what: Scene, places: Layout) -> Iterator[str]:
    top = graph.differential.top
    leading = f"{top.name}, {top.probability:.0%}" if top is not None else "none"
    counts = f"{len(what.boxes)} elements and {len(what.links)} links"
    box = f'viewBox="0 0 {places.width:g} {places.height:g}" width="{places.width:g}" height="{places.height:g}"'
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="wr-ev" {box} '
        'role="graphics-document document" aria-labelledby="ev-title ev-desc">'
    )
    yield '<title id="ev-title">Evidence graph</title>'
    yield f'<desc id="ev-desc">{harmless(f"Leading hypothesis: {leading}. {counts}.")}</desc>'
    yield f"<style>{_STYLE}</style>"
    yield f'<rect class="page" width="{places.width:g}" height="{places.height:g}"/>'
    for column, (x, _) in places.columns.items():
        yield f'<text class="column" x="{x:g}" y="{TOP - 18}">{_HEADINGS[column]}</text>'
    yield from (_band(band) for band in places.bands)
    yield from _links(what, places)
    for placed in sorted(places.boxes.values(), key=lambda p: (p.box.column, p.y)):
        yield from _node(placed, faint=placed.box.id not in what.highlighted)
    yield from _legend(what, places)
    yield "</svg>"


def _band(band: Band) -> str:
    name = harmless(fitted(band.name, band.width - 8, _SMALL))
    frame = f'x="{band.x - 5:.1f}" y="{band.y:.1f}" width="{band.width + 10:.1f}" height="{band.height + 5:.1f}" rx="6"'
    label = f'<text class="soft" x="{band.x:.1f}" y="{band.y + BAND_HEAD - 5:.1f}">{name}</text>'
    return f'<g class="band"><title>{harmless(band.name)}</title><rect {frame}/>{label}</g>'


def _node(placed: Placed, *, faint: bool) -> Iterator[str]:
    box, x, y = placed.box, placed.x, placed.y
    classes = " ".join(["node", box.kind, *([box.mark] if box.mark else []), *(["dim"] if faint else [])])
    words = harmless(box.words)
    yield (
        f'<g id="{element_id(box.id)}" class="{classes}" data-node="{harmless(box.id)}" data-kind="{box.kind}" '
        f'role="graphics-symbol img" aria-label="{words}">'
    )
    yield f"<title>{words}</title>"
    yield _rect("box", x, y, placed.width, placed.height)
    if box.share is not None:
        yield _rect("share", x + 2, y + 2, box.share * (placed.width - 4), placed.height - 4)
    yield from _lines(placed)
    yield "</g>"


def _rect(name: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4"/>'


def _lines(placed: Placed) -> Iterator[str]:
    box, left = placed.box, placed.x + _INSET
    room = placed.width - 2 * _INSET
    line = placed.y + PADDING + LINE - 4
    if box.figure:
        right = placed.x + placed.width - _INSET
        yield f'<text x="{right:.1f}" y="{line:.1f}" text-anchor="end">{harmless(box.figure)}</text>'
    figure = width_of(box.figure, _SIZE) + 6 if box.figure else 0.0
    bold = _BOLD if box.kind in ("hypothesis", "observation") else 1.0
    name = harmless(fitted(box.heading, (room - figure) / bold, _SIZE))
    yield f'<text class="name" x="{left:.1f}" y="{line:.1f}">{name}</text>'
    if box.detail:
        said = harmless(fitted(box.detail, room, _SMALL))
        yield f'<text class="soft" x="{left:.1f}" y="{line + LINE:.1f}">{said}</text>'


def _links(what: Scene, places: Layout) -> Iterator[str]:
    ends = _ports(what.links, places)
    names = {box.id: box.heading if box.kind in ("hypothesis", "observation") else box.words for box in what.boxes}
    # The strongest last, so that nothing weak lies over them.
    for i in sorted(range(len(what.links)), key=lambda i: (abs(what.links[i].llr), i)):
        link = what.links[i]
        tail, head = ends[i]
        faint = not {link.tail, link.head} <= what.highlighted
        provenance = link.kind in ("cites", "derived_from", "same_as", "refines")
        classes = " ".join(["link", link.kind, *(["provenance"] if provenance else []), *(["dim"] if faint else [])])
        figure = f" ({link.llr:+.2f})" if link.llr else ""
        words = harmless(f"{names[link.tail]} {_VERB[link.kind]} {names[link.head]}{figure}")
        stroke = f' style="stroke-width:{0.8 + 1.2 * min(abs(link.llr), 4.0):.2f}px"' if link.llr else ""
        inside = places.boxes[link.tail].box.column is places.boxes[link.head].box.column
        path = _arc(tail, head) if inside else _curve(tail, head)
        yield (
            f'<g id="{link_id(link)}" class="{classes}" data-tail="{harmless(link.tail)}" '
            f'data-head="{harmless(link.head)}"><title>{words}</title><path d="{path}"{stroke}/></g>'
        )


Point = tuple[float, float]


def _ports(links: Iterable[Link], places: Layout) -> dict[int, tuple[Point, Point]]:
    """Where each link leaves and arrives: along the sides, in the order of the other ends, so that none cross there."""
    sides: dict[tuple[str, str], list[tuple[float, int, int]]] = defaultdict(list)
    for i, link in enumerate(links):
        one, other = places.boxes[link.tail], places.boxes[link.head]
        within = one.box.column is other.box.column
        left_to_right = one.box.column < other.box.column
        sides[link.tail, "left" if within or not left_to_right else "right"].append((other.middle, i, 0))
        sides[link.head, "left" if within or left_to_right else "right"].append((one.middle, i, 1))
    points: dict[tuple[int, int], Point] = {}
    for (node, side), uses in sides.items():
        placed = places.boxes[node]
        x = placed.x if side == "left" else placed.x + placed.width
        room = placed.height - 10
        for n, (_, i, end) in enumerate(sorted(uses)):
            points[i, end] = (x, placed.y + 5 + room * (n + 0.5) / len(uses))
    return {i: (points[i, 0], points[i, 1]) for i, end in points if end == 0}


def _curve(tail: Point, head: Point) -> str:
    reach = (head[0] - tail[0]) * 0.45
    return (
        f"M{tail[0]:.1f} {tail[1]:.1f}C{tail[0] + reach:.1f} {tail[1]:.1f} "
        f"{head[0] - reach:.1f} {head[1]:.1f} {head[0]:.1f} {head[1]:.1f}"
    )


def _arc(tail: Point, head: Point) -> str:
    """A bow to the left of a column, further out for ends further apart."""
    out = tail[0] - 14.0 - min(30.0, abs(head[1] - tail[1]) / 8.0)
    return f"M{tail[0]:.1f} {tail[1]:.1f}C{out:.1f} {tail[1]:.1f} {out:.1f} {head[1]:.1f} {head[0]:.1f} {head[1]:.1f}"


def _legend(what: Scene, places: Layout) -> Iterator[str]:
    entries = [
        ("link supports", "speaks for (wider: stronger)", 3.0),
        ("link contradicts", "speaks against", 3.0),
        ("link reads", "was read in", 1.2),
        ("link denies", "was read as absent", 1.0),
        ("link provenance", "cites, derived from: no weight", 1.2),
    ]
    y = places.height - 20.0
    x = float(MARGIN)
    yield '<g class="legend" aria-hidden="true">'
    for classes, words, stroke in entries:
        yield f'<g class="{classes}"><path d="M{x:g} {y:g}h26" style="stroke-width:{stroke:g}px"/></g>'
        yield f'<text class="soft" x="{x + 32:g}" y="{y + 4:g}">{words}</text>'
        x += 32 + width_of(words, _SMALL) + 22
    if what.unshown:
        left = f"{what.unshown} less probable hypotheses are not drawn"
        yield f'<text class="soft" x="{places.width - MARGIN:g}" y="{y + 4:g}" text-anchor="end">{left}</text>'
    yield "</g>"
