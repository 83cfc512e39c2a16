"""What is changed about a recorded run when it is forked."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from wardround.core.errors import UsageError
from wardround.core.frozen import Frozen
from wardround.core.items import Item, Provenance, ProvenanceItem, ReadingItem, SourceItem

_COPIES = (Provenance.DERIVED_FROM, Provenance.SAME_AS)


class Edits(Frozen):
    """Changes to a run; everything that does not depend on them is taken from its log."""

    without: tuple[str, ...] = ()
    """Evidence that is left out: ids of sources or findings, names of documents, codes of findings. With a source go
    its copies; a finding that is left out is not weighed, but its sentence is shown."""
    answers: dict[str, str] = Field(default_factory=dict)
    """Text in place of what a model answered, by the id of the call."""
    tools: dict[str, str] = Field(default_factory=dict)
    """Text in place of what a tool returned, by the id of the call."""
    model: str | None = None
    """Spec of another model."""
    agents: tuple[str, ...] = ()
    """Who asks the other model; everybody unless given."""
    model_from: str | None = None
    """Step from which on the other model is asked, such as `attending`, or `weigh:2` for the second time; from the
    beginning unless given."""
    anew_from: str | None = None
    """Step from which on no answer is taken from the log."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is changed."""
        return not (any(self.without) or self.answers or self.tools or self.model or self.anew_from)

    def on(self, earlier: Edits) -> Edits:
        """Return these edits of a run that was itself made by earlier ones, which stay.

        Raises:
            UsageError: Both ask another model.
        """
        if self.model is not None and earlier.model is not None:
            raise UsageError(f"the run already asks {earlier.model} as well; fork the run that it was forked from")
        return Edits(
            without=(*earlier.without, *(name for name in self.without if name not in earlier.without)),
            answers=self.answers,  # the earlier ones are in the log, and hold where the question is the same
            tools={**earlier.tools, **self.tools},
            model=self.model or earlier.model,
            agents=self.agents or earlier.agents,
            model_from=self.model_from or earlier.model_from,
            anew_from=self.anew_from,  # what the earlier ones asked anew is in the log now
        )

    def asks_other(self, agent: str) -> bool:
        """Return whether an agent asks the other model, once that is asked at all."""
        return self.model is not None and (not self.agents or agent in self.agents)

    def kept(self, items: Iterable[Item]) -> list[Item]:
        """Return the items without the evidence that is left out; with a source go its readings."""
        items = list(items)
        if not self.without:
            return items
        names = set(self.without)
        sources = [item.source for item in items if isinstance(item, SourceItem)]
        names |= {source.id for source in sources if source.document in names}
        copies = [item for item in items if isinstance(item, ProvenanceItem)]
        while copied := {c.tail for c in copies if c.kind in _COPIES and c.head in names} - names:
            names |= copied  # a copy must not step in for its original
            names |= {source.id for source in sources if source.document in copied}
        return [item for item in items if not self._is_left_out(item, names)]

    @staticmethod
    def _is_left_out(item: Item, names: set[str]) -> bool:
        if isinstance(item, SourceItem):
            return item.source.id in names
        if isinstance(item, ProvenanceItem):
            return item.tail in names
        return isinstance(item, ReadingItem) and bool({item.finding.id, item.finding.code, item.finding.source} & names)


def checked(edits: Edits) -> Edits:
    """Return edits that change something.

    Raises:
        UsageError: Nothing is changed, or agents or a step are named without another model.
    """
    if edits.is_empty:
        what = "leave evidence out, edit an answer or a tool, give a model, or a step from which to ask anew"
        raise UsageError(f"the fork changes nothing; {what}")
    if edits.model is None and (edits.agents or edits.model_from):
        raise UsageError(f"{', '.join(edits.agents) or edits.model_from} would ask no other model; give one")
    return edits
