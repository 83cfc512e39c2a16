"""A run as a changed repetition of another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wardround.core.errors import UsageError
from wardround.core.items import ReadingItem, SourceItem
from wardround.graphs.edits import Edits
from wardround.models.handle import ModelHandle
from wardround.models.keeping import Calls, EditedCalls, ForkedCalls, LoggedCalls
from wardround.models.replay import replayed_log
from wardround.trace.events import Event, EvidenceAdded, ModelAsked, Origin, RunStarted, ToolCalled
from wardround.trace.visits import Visit, is_record_agent, steps_begun, visits_of

if TYPE_CHECKING:
    from wardround.trace.store import RunStore


class Fork:
    """What a run is forked from, and what is changed.

    Model calls are named by what is sent. A call upstream of every change is sent as it was and so answered from the
    log; one downstream is sent otherwise, and asked.
    """

    def __init__(self, of: str, edits: Edits, events: Sequence[Event], *, other: ModelHandle | None = None) -> None:
        """Fork a run.

        Args:
            of: Id of the run.
            edits: What is changed.
            events: Its log.
            other: The other model of the edits, where it is at hand already or replayed.

        Raises:
            UsageError: The log does not hold what is to be changed.
        """
        self.of, self.edits, self.other = of, edits, other
        kept = before(edits.anew_from, events) if edits.anew_from is not None else events
        self.other_after = steps_begun(before(edits.model_from, events)) if edits.model_from is not None else 0
        """Steps that are begun before the other model is asked: what lies upstream begins the same in both runs."""
        log = LoggedCalls(kept, run=of, origin=Origin.LOG)
        self._edited = EditedCalls(log, edits.answers)
        self._log = ForkedCalls(log)

    @classmethod
    def of_run(cls, run: str, edits: Edits, events: Sequence[Event]) -> Fork:
        """Fork a run, which may be a fork itself.

        Raises:
            UsageError: The log does not hold what is to be changed.
        """
        _require_known(edits, events, run)
        given = _given(events)
        return cls(run, edits if given is None else edits.on(Edits.model_validate(given["edits"])), events)

    @classmethod
    def recorded(cls, events: Sequence[Event], store: RunStore, *, replays: bool = False) -> Fork | None:
        """Return the fork that a log was begun as, if it was.

        Args:
            events: The log.
            store: Where the run is kept that was forked.
            replays: Whether the other model answers from the log as well.
        """
        given = _given(events)
        if given is None:
            return None
        edits = Edits.model_validate(given["edits"])
        spec = edits.model if replays else None
        other = replace(replayed_log(events, spec), spec=spec) if spec is not None else None
        return cls(given["of"], edits, store.events(given["of"]), other=other)

    def as_setting(self) -> dict[str, Any]:
        """Return it as plain JSON values, for the beginning of the log."""
        return {"of": self.of, "edits": self.edits.model_dump(mode="json", exclude_defaults=True)}

    @property
    def calls(self) -> tuple[Calls, ...]:
        """Where answers are taken from, the edited ones first."""
        return (self._edited, self._log)

    def require_used(self, events: Sequence[Event]) -> None:
        """Check that every edit came up.

        Raises:
            UsageError: One did not, since what came before it was changed as well.
        """
        called = {event.call for event in events if isinstance(event, ToolCalled)}
        asked = {event.request for event in events if isinstance(event, ModelAsked)}
        unused = [f"tool call {call}" for call in self.edits.tools if call not in called]
        unused += [f"an answer to request {key}" for key in sorted(self._edited.keys - asked)]
        if unused:
            what = f"the fork of {self.of} never came to {', '.join(unused)}"
            raise UsageError(f"{what}: what leads there was changed too; make one change at a time")


def forkable(events: Sequence[Event]) -> list[Visit]:
    """Return the steps from which on a consult can be done otherwise: those before a person was asked."""
    if is_record_agent(events):
        return []
    visits = visits_of(events)
    asked = next((n for n, visit in enumerate(visits) if visit.step == "ask_person"), len(visits))
    return [visit for visit in visits[:asked] if visit.spans]


def before(step: str, events: Sequence[Event]) -> Sequence[Event]:
    """Return what a log holds before a step was begun.

    Raises:
        UsageError: The run took no such step, or did so after a person was asked.
    """
    visits = {visit.name: visit for visit in forkable(events)}
    if step not in visits:
        raise UsageError(f"the run cannot be forked from {step!r}; its steps are {', '.join(visits) or 'none'}")
    return [event for event in events if event.seq < visits[step].begun]


def _given(events: Sequence[Event]) -> dict[str, Any] | None:
    started = next((event for event in events if isinstance(event, RunStarted)), None)
    return started.settings.get("fork") if started is not None else None


def _require_known(edits: Edits, events: Sequence[Event], run: str) -> None:
    items = [event.item for event in events if isinstance(event, EvidenceAdded)]
    sources = [item.source for item in items if isinstance(item, SourceItem)]
    findings = [item.finding for item in items if isinstance(item, ReadingItem)]
    evidence = {
        *(name for source in sources for name in (source.id, source.document)),
        *(name for finding in findings for name in (finding.id, finding.code)),
    }
    tools = {event.call for event in events if isinstance(event, ToolCalled)}
    unknown = [name for name in edits.without if name not in evidence]
    if unknown:
        raise UsageError(f"run {run} has no evidence {', '.join(unknown)}; `wardround runs show {run} --json` lists it")
    strange = [call for call in edits.tools if call not in tools]
    if strange:
        known = ", ".join(sorted(tools)) or "none"
        raise UsageError(f"run {run} has no tool call {', '.join(strange)}; it has {known}")
