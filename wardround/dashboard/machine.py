"""The state machine of a run, drawn, with the steps that were taken as its log names them.

What is possible is written down here, since compiling the graph to ask it takes seconds; a test compares the two.
What was taken is read off the log alone: the spans of the steps, and the events in which a person was asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from wardround.core.evidence.lettering import harmless
from wardround.dashboard.showing import visible
from wardround.trace.events import Event, Outcome
from wardround.trace.visits import END, Visit, is_record_agent

START = "__start__"
Edge = tuple[str, str]


@dataclass(frozen=True)
class Machine:
    """What can follow what."""

    places: Mapping[str, tuple[float, float]]
    """Column and row of each step."""
    edges: tuple[Edge, ...]


CONSULT = Machine(
    places={
        START: (0, 0),
        "intake": (1, 0),
        "triage": (2, 0),
        "plan": (3, 0),
        "specialist": (4, 0),
        "verify": (5, 0),
        "weigh": (6, 0),
        "attending": (7, 0),
        "gate": (8, 0),
        END: (9.3, 0),
        "gather": (5, 1),
        "heed_person": (7, 1),
        "ask_person": (8, 1),
    },
    edges=(
        (START, "intake"),
        ("intake", "triage"),
        ("triage", "plan"),
        ("plan", "specialist"),
        ("plan", "verify"),
        ("specialist", "verify"),
        ("verify", "weigh"),
        ("weigh", "gather"),
        ("weigh", "attending"),
        ("gather", "specialist"),
        ("gather", "attending"),
        ("attending", "gate"),
        ("gate", "ask_person"),
        ("gate", END),
        ("ask_person", "heed_person"),
        ("heed_person", "weigh"),
        ("heed_person", END),
    ),
)
"""`wardround.graphs.flow`."""

RECORDS = Machine(
    places={START: (0, 0), "think": (1.5, 0), "act": (3.5, 0), "tell": (5.5, 0), "confirm": (3.5, 1), END: (7.5, 0)},
    edges=(
        (START, "think"),
        ("think", "act"),
        ("think", "tell"),
        ("think", END),
        ("act", "act"),
        ("act", "confirm"),
        ("act", "tell"),
        ("confirm", "act"),
        ("tell", "think"),
        ("tell", END),
    ),
)
"""`wardround.graphs.ehr_flow`."""


def machine_of(events: Sequence[Event]) -> Machine:
    """Return the state machine that a run went through."""
    return RECORDS if is_record_agent(events) else CONSULT


def taken(visits: Sequence[Visit]) -> Counter[Edge]:
    """Return how often the run went from one step to the next."""
    steps = [START, *(visit.step for visit in visits)]
    return Counter(pairwise(steps)) if visits else Counter()


COLUMN, ROW, WIDE, HIGH = 116.0, 92.0, 92.0, 40.0
LEFT, TOP = 30.0, 34.0


def picture(machine: Machine, visits: Sequence[Visit]) -> Markup:
    """Draw a state machine with the path that was taken, how often, and where it stands."""
    went, counts = taken(visits), Counter(visit.step for visit in visits)
    agents = {visit.step: max(len(v.spans) for v in visits if v.step == visit.step) for visit in visits}
    width = LEFT * 2 + COLUMN * max(column for column, _ in machine.places.values()) + WIDE
    height = TOP + ROW * max(row for _, row in machine.places.values()) + HIGH + 30
    parts = [*_edges(machine, went)]
    for step, place in machine.places.items():
        last = visits[-1] if visits and visits[-1].step == step else None
        parts.append(_node(step, place, counts[step], agents.get(step, 0), last))
    path = " to ".join(visit.step.strip("_") for visit in visits) or "nothing yet"
    words = harmless(visible(f"State machine; the path was: {path}"))
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return Markup(
        f'<svg class="sm" {size} role="img" aria-label="{words}"><title>{words}</title>{visible("".join(parts))}</svg>'
    )


def _middle(place: tuple[float, float]) -> tuple[float, float]:
    return LEFT + COLUMN * place[0] + WIDE / 2, TOP + ROW * place[1] + HIGH / 2


def _half(step: str) -> float:
    return 24.0 if step in (START, END) else WIDE / 2


def _node(step: str, place: tuple[float, float], count: int, agents: int, last: Visit | None) -> str:
    x, y = _middle(place)
    half, name = _half(step), {START: "start", END: "end"}.get(step, step.replace("_", " "))
    is_taken = count > 0 or step == START
    classes = f"sm-node{' sm-taken' if is_taken else ''}"
    if last is not None and last.step != END and last.outcome != Outcome.DONE.value:
        classes += f" sm-{last.outcome}"
    several = f"{agents} at once" if agents > 1 else ""
    said = ", ".join(part for part in (f"{count} ×" if count > 1 else "", several) if part)
    words = harmless(f"{name}: taken {count} times{f', {several}' if several else ''}")
    label = f'<text x="{x:.1f}" y="{y + (4 if not said else -2):.1f}" text-anchor="middle">{harmless(name)}</text>'
    below = (
        f'<text class="sm-soft" x="{x:.1f}" y="{y + 13:.1f}" text-anchor="middle">{harmless(said)}</text>'
        if said
        else ""
    )
    frame = f'x="{x - half:.1f}" y="{y - HIGH / 2:.1f}" width="{2 * half:g}" height="{HIGH:g}"'
    shape = f'<rect {frame} rx="{20 if half < 30 else 6}"/>'
    body = f"<title>{words}</title>{shape}{label}{below}"
    return (
        f'<a href="#step-{harmless(step)}" class="{classes}">{body}</a>'
        if count
        else f'<g class="{classes}">{body}</g>'
    )


def _edges(machine: Machine, went: Counter[Edge]) -> Iterator[str]:
    # Those that were taken last, so that nothing lies over them.
    for edge in sorted(machine.edges, key=lambda edge: went[edge]):
        count = went[edge]
        kind = "sm-edge sm-taken" if count else "sm-edge"
        path, (x, y) = _path(edge, machine.places)
        arrow = _arrow(edge, machine.places)
        words = f"<title>{edge[0].strip('_')} to {edge[1].strip('_')}: {count} times</title>"
        label = (
            f'<text class="sm-soft" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{count} ×</text>' if count > 1 else ""
        )
        yield f'<g class="{kind}">{words}<path d="{path}"/><path class="sm-head" d="{arrow}"/>{label}</g>'


Point = tuple[float, float]


def _ends(edge: Edge, places: Mapping[str, tuple[float, float]]) -> tuple[Point, Point, float]:
    """Where an edge leaves and arrives, and how far it bows out; 0 for a straight one."""
    (ac, ar), (bc, br) = places[edge[0]], places[edge[1]]
    (ax, ay), (bx, by) = _middle((ac, ar)), _middle((bc, br))
    if ar == br and abs(bc - ac) > 1.4 and bc > ac and _between(ac, bc, ar, places):
        return (ax + 10, ay - HIGH / 2), (bx - 10, by - HIGH / 2), -30.0
    if ar == br and bc < ac:
        if not _between(bc, ac, ar, places):
            return (ax - _half(edge[0]), ay), (bx + _half(edge[1]), by), 0.0
        return (ax - 10, ay + HIGH / 2), (bx + 10, by + HIGH / 2), 34.0
    if ar == br:
        return (ax + _half(edge[0]), ay), (bx - _half(edge[1]), by), 0.0
    down = 1 if br > ar else -1
    shift = 12.0 if abs(ac - bc) < 0.1 and down > 0 else -12.0 if abs(ac - bc) < 0.1 else 20.0 * (1 if bc > ac else -1)
    return (
        (ax + shift, ay + down * HIGH / 2),
        (bx - (shift if abs(ac - bc) > 0.1 else -shift), by - down * HIGH / 2),
        0.0,
    )


def _between(low: float, high: float, row: float, places: Mapping[str, tuple[float, float]]) -> bool:
    return any(r == row and low < c < high for c, r in places.values())


def _path(edge: Edge, places: Mapping[str, tuple[float, float]]) -> tuple[str, Point]:
    if edge[0] == edge[1]:
        x, y = _middle(places[edge[0]])
        top = y - HIGH / 2
        return (
            f"M{x - 16:.1f} {top:.1f}C{x - 26:.1f} {top - 26:.1f} {x + 26:.1f} {top - 26:.1f} {x + 16:.1f} {top:.1f}",
            (x, top - 22),
        )
    (ax, ay), (bx, by), bow = _ends(edge, places)
    if not bow:
        return f"M{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}", ((ax + bx) / 2 + 10, (ay + by) / 2 - 6)
    return f"M{ax:.1f} {ay:.1f}C{ax:.1f} {ay + bow:.1f} {bx:.1f} {by + bow:.1f} {bx:.1f} {by:.1f}", (
        (ax + bx) / 2,
        ay + bow * 0.75,
    )


def _arrow(edge: Edge, places: Mapping[str, tuple[float, float]]) -> str:
    if edge[0] == edge[1]:
        x, y = _middle(places[edge[0]])
        tip, back = (x + 16, y - HIGH / 2), (x + 22, y - HIGH / 2 - 18)
    else:
        start, tip, bow = _ends(edge, places)
        back = (tip[0], tip[1] + bow) if bow else start
    dx, dy = tip[0] - back[0], tip[1] - back[1]
    size = (dx * dx + dy * dy) ** 0.5 or 1.0
    ux, uy = dx / size, dy / size
    left, right = (
        (tip[0] - 8 * ux - 4 * uy, tip[1] - 8 * uy + 4 * ux),
        (tip[0] - 8 * ux + 4 * uy, tip[1] - 8 * uy - 4 * ux),
    )
    return f"M{tip[0]:.1f} {tip[1]:.1f}L{left[0]:.1f} {left[1]:.1f}L{right[0]:.1f} {right[1]:.1f}Z"
