"""A run in one row, as lists show it: what its events add to the row, and how it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from wardround.trace.capture import REDACTED
from wardround.trace.chain import BEGINNING
from wardround.trace.events import Origin

MILLION = 1_000_000
"""Tokens that a price is for."""

COSTS: dict[str, tuple[int, int | None]] = {
    "under 3k tokens": (0, 3_000),
    "3k to 10k tokens": (3_000, 10_000),
    "10k to 30k tokens": (10_000, 30_000),
    "30k to 100k tokens": (30_000, 100_000),
    "100k tokens and more": (100_000, None),
}
"""Classes of what runs cost: the first number of tokens of each, and the first that is too many."""

Sort = Literal["started", "probability", "tokens", "seconds", "diagnosis", "case", "model"]


@dataclass(frozen=True)
class RunRow:
    """A run as a list shows it."""

    id: str
    case: str
    kind: str
    """consult, records, or what the settings name."""
    suite: str | None
    """Of the tasks it belongs to, where the settings name one."""
    model: str
    started: datetime
    state: str
    """running, suspended, done or failed."""
    status: str | None
    """final, abstained or escalated, once decided."""
    diagnosis: str | None
    """That of the decision, or else the leading one."""
    probability: float | None
    """That it is right; calibrated where the run had a card."""
    reasons: tuple[str, ...]
    """Codes of the gate's reasons."""
    urgency: str | None
    specialty: str | None
    """That triage named first; empty where it named none, nothing where there was no triage."""
    calls: int
    """Model calls; what was answered from the log of the same run is not counted, here and below."""
    tokens: int
    """Input and output."""
    seconds: float | None
    """From the first event to the last; nothing while there is one alone."""
    money: float | None
    """In the currency of the prices; nothing where none were given."""

    @property
    def cost(self) -> str:
        """Which of `COSTS` it is in: tokens are what every run has, prices only some."""
        return next(name for name, (_, end) in COSTS.items() if end is None or self.tokens < end)


@dataclass(frozen=True)
class RunQuery:
    """Which runs, and in which order; everything that is given has to fit, one of several values being enough."""

    text: str | None = None
    """Words that all occur in the run; `word*` stands for all words that begin so."""
    states: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    suites: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    """Of `COSTS`."""
    case: str | None = None
    """Id of the case."""
    since: datetime | None = None
    """Started then or later."""
    until: datetime | None = None
    """Started before."""
    least_probability: float | None = None
    most_probability: float | None = None
    least_tokens: int | None = None
    most_tokens: int | None = None
    sort: Sort = "started"
    descending: bool = True
    limit: int = 50
    after: str | None = None
    """`next` of the page before."""


@dataclass(frozen=True)
class Page:
    """A part of a list of runs."""

    rows: tuple[RunRow, ...]
    total: int
    """Runs that fit, on all pages."""
    next: str | None
    """To be given as `after`; nothing on the last page."""


def stamp(moment: datetime) -> str:
    """Return a moment as text of one length that sorts as moments do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def run_row(values: Mapping[str, Any]) -> RunRow:
    """Return a row of the table `runs` as a value."""
    return RunRow(
        id=values["id"],
        case=values["case_id"],
        started=datetime.fromisoformat(values["started"]),
        reasons=tuple(values["reasons"].split()),
        **{name: values[name] for name in ("kind", "suite", "model", "state", "status", "diagnosis", "probability")},
        **{name: values[name] for name in ("urgency", "specialty", "calls", "tokens", "seconds", "money")},
    )


def begun(started: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a run that begins with this `run_started`, as JSON has it."""
    settings = started["settings"]
    prices = settings.get("prices") or {}
    agent = settings.get("agent")
    return {
        "id": started["run"],
        "case_id": started["case"],
        "kind": "records" if agent == "ehr" else str(agent or "consult"),
        "suite": settings.get("suite"),
        "model": started["model"],
        "started": stamp(datetime.fromisoformat(started["time"])),
        "state": "running",
        **dict.fromkeys(("status", "diagnosis", "probability", "urgency", "specialty", "seconds")),
        "reasons": "",
        "calls": 0,
        "tokens": 0,
        "money": 0.0 if prices else None,
        "price_in": prices.get("input"),
        "price_out": prices.get("output"),
        "length": 0,
        "indexed": 0,
        "head": BEGINNING,
        "made_from": (settings.get("fork") or {}).get("of") or _replayed(started["model"]),
    }


def _replayed(model: str) -> str | None:
    return model.removeprefix("replay:") if model.startswith("replay:") else None


def updated(row: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a row after further events, as JSON has them; each must come once."""
    new = dict(row)
    for event in events:
        _CHANGES.get(event["event"], _nothing)(new, event)
        if event["seq"]:
            spent = datetime.fromisoformat(event["time"]) - datetime.fromisoformat(new["started"])
            new["seconds"] = round(spent.total_seconds(), 6)
    return new


def _nothing(row: dict[str, Any], event: Mapping[str, Any]) -> None:
    """Most events change nothing that a list shows."""


def _asked(row: dict[str, Any], event: Mapping[str, Any]) -> None:
    row["calls"] += 1


def _answered(row: dict[str, Any], event: Mapping[str, Any]) -> None:
    if event.get("origin") == Origin.LOG.value:
        row["calls"] -= 1
        return
    read, written = event.get("input_tokens") or 0, event.get("output_tokens") or 0
    row["tokens"] += read + written
    if row["money"] is not None:
        row["money"] += (row["price_in"] * read + row["price_out"] * written) / MILLION


def _triaged(row: dict[str, Any], event: Mapping[str, Any]) -> None:
    row["urgency"] = event["triage"]["urgency"]
    row["specialty"] = next(iter(event["triage"].get("specialties", ())), "")


def _decided(row: dict[str, Any], event: Mapping[str, Any]) -> None:
    decision = event["decision"]
    leading = decision["diagnosis"] or next(iter(decision["differential"]["hypotheses"]), None)
    row["status"] = decision["status"]
    row["reasons"] = " ".join(dict.fromkeys(reason["code"] for reason in decision["reasons"]))
    row["diagnosis"] = (leading["id"] if leading["name"] == REDACTED else leading["name"]) if leading else None
    row["probability"] = decision.get("probability")
    if row["probability"] is None and leading:
        row["probability"] = leading["probability"]


def _suspended(row: dict[str, Any], event: Mapping[str, Any]) -> None:
    row["state"] = "suspended"


def _ended(row: dict[str, Any], event: Mapping[str, Any]) -> None:
    row["state"] = event["outcome"]


_CHANGES = {
    "model_asked": _asked,
    "model_answered": _answered,
    "triage_given": _triaged,
    "decision_made": _decided,
    "suspended": _suspended,
    "run_ended": _ended,
}
