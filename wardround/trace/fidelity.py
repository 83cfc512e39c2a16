"""Whether a replay did what was recorded, event for event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from wardround.core.frozen import content_id
from wardround.trace.events import DecisionMade, Event, Resumed, SpanEnded

_WHEN_AND_WHENCE = frozenset(("seq", "time", "seconds", "origin"))
"""When something happened, how long it took and who answered is not part of what happened."""


@dataclass(frozen=True)
class Difference:
    """One act that only one of two logs holds at its place."""

    span: str
    recorded: Event | None
    """Nothing where the replay did more."""
    replayed: Event | None
    """Nothing where the replay did less."""

    def __str__(self) -> str:
        """Return it in a line."""
        if self.recorded is not None and self.replayed is not None:
            fields = ", ".join(_differing(self.recorded, self.replayed))
            return f"event {self.recorded.seq}: {self.recorded.event} differs in {fields or 'its kind'}"
        found = self.recorded or self.replayed
        assert found is not None, "a difference has at least one side"
        return f"{found.event} only in the {'record' if self.recorded is not None else 'replay'} (event {found.seq})"


def act(event: Event) -> str:
    """Name an event by what happened, whenever and whoever answered."""
    return content_id("act", event.model_dump(mode="json", exclude=set(_WHEN_AND_WHENCE)))


def differences(recorded: Sequence[Event], replayed: Sequence[Event]) -> tuple[Difference, ...]:
    """Compare two logs of one run.

    Spans that run side by side write into the log in the order in which the machine got round to them, which is no
    act of theirs. So the acts of each span are compared in order, and the ends of the spans within it in any order.

    A run that broke off and was resumed holds the break; of such a one only what the replay did beyond the record
    counts, and that it came to its decision.
    """
    broke = any(isinstance(event, Resumed) and event.answer is None for event in recorded)
    found: list[Difference] = []
    for span in dict.fromkeys(event.span for event in (*recorded, *replayed)):
        mine, theirs = ([e for e in log if e.span == span] for log in (recorded, replayed))
        found += _sequences(span, *([e for e in log if not isinstance(e, SpanEnded)] for log in (mine, theirs)))
        ends = [sorted((e for e in log if isinstance(e, SpanEnded)), key=act) for log in (mine, theirs)]
        found += _sequences(span, *ends)
    if not broke:
        return tuple(found)
    known = {act(event) for event in recorded}
    beyond = [d for d in found if d.replayed is not None and act(d.replayed) not in known]
    one, other = _decision(recorded), _decision(replayed)
    if (one is None) != (other is None):
        beyond.append(Difference("", one, other))
    return tuple(beyond)


def _decision(log: Sequence[Event]) -> DecisionMade | None:
    return next((event for event in reversed(log) if isinstance(event, DecisionMade)), None)


def _sequences(span: str, recorded: Sequence[Event], replayed: Sequence[Event]) -> Iterable[Difference]:
    matcher = SequenceMatcher(None, [act(e) for e in recorded], [act(e) for e in replayed], autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            continue
        for k in range(max(b - a, d - c)):
            yield Difference(
                span,
                recorded[a + k] if a + k < b else None,
                replayed[c + k] if c + k < d else None,
            )


def _differing(one: Event, other: Event) -> list[str]:
    mine, theirs = one.model_dump(mode="json"), other.model_dump(mode="json")
    if mine["event"] != theirs["event"]:
        return ["its kind"]
    return [name for name in mine if name not in _WHEN_AND_WHENCE and mine[name] != theirs.get(name)]
