"""Everything that can go wrong, as one tree.

WardroundError
├─ UsageError                the caller wrote it wrong; the message says what to write
│  ├─ CaseError              a case that cannot be read: what, where, and the mend
│  └─ MissingExtra           an optional dependency is not installed; names the extra
├─ KnowledgeError            the knowledge files are inconsistent; lists every fault
├─ CatalogueError            the files of the model catalogue are; likewise
├─ ModelError                a chat model did not do its part
│  ├─ ModelUnavailable       it could not be reached
│  │  └─ ModelBusy           it has too much to do
│  ├─ NotRecorded            a recording was asked what it does not hold
│  ├─ ContextExceeded        it was sent more than it can read
│  └─ UnscriptedCall         a scripted model was asked what its script does not hold
├─ ToolError                 a tool did not do its part; told to the model
│  ├─ ToolRetry              the arguments were wrong and can be mended
│  └─ ToolRefused            not allowed, do not repeat
├─ BudgetExceeded            a case used up its calls, tokens, seconds or money
├─ BatchBudgetExceeded       the cases of one run did together
└─ StoreError                the workspace cannot be read or written
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class WardroundError(Exception):
    """Root of every error that Wardround raises on purpose; each can cross a process boundary."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from the message and the facts, since the constructors take the facts alone."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[WardroundError], args: tuple[Any, ...], facts: dict[str, Any]) -> WardroundError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


class UsageError(WardroundError):
    """The caller asked for something that is not so; the message says what to write instead."""


class CaseError(UsageError):
    """A case that cannot be read."""

    def __init__(self, what: str, *, where: str, mend: str) -> None:
        self.what, self.where, self.mend = what, where, mend
        super().__init__(f"{where}: {what}; {mend}")


class MissingExtra(UsageError):
    """A feature was used whose optional dependency is not installed."""

    def __init__(self, module: str, extra: str) -> None:
        self.module, self.extra = module, extra
        super().__init__(f"{module} is not installed; install it with: pip install 'wardround[{extra}]'")


class KnowledgeError(WardroundError):
    """The knowledge files contradict their schema or one another."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        shown = "\n  ".join(self.faults[:20])
        more = f"\n  (+{len(self.faults) - 20} more)" if len(self.faults) > 20 else ""
        super().__init__(f"{len(self.faults)} faults in the knowledge files:\n  {shown}{more}")


class CatalogueError(WardroundError):
    """The catalogue files contradict their schema or one another; lists every fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        shown = "; ".join(self.faults[:20])
        more = f" (+{len(self.faults) - 20} more)" if len(self.faults) > 20 else ""
        super().__init__(f"{len(self.faults)} faults in the catalogue files: {shown}{more}")


class ModelError(WardroundError):
    """A chat model did not do its part."""

    def __init__(self, model: str, what: str) -> None:
        self.model, self.what = model, what
        super().__init__(f"model {model}: {what}")


class ModelUnavailable(ModelError):
    """A chat model that was asked for could not be reached; nothing else is put in its place."""


class ModelBusy(ModelUnavailable):
    """A server is there, but has too much to do."""

    def __init__(self, model: str, what: str, wait: float | None = None) -> None:
        super().__init__(model, what)
        self.wait = wait
        """Seconds that the server asks to wait, where it says so."""


class NotRecorded(ModelError):
    """A recording was asked what it does not hold; no model is asked in its place."""


class ContextExceeded(ModelError):
    """A model was sent more than it can read."""


class UnscriptedCall(ModelError):
    """A scripted model was asked something its script does not hold, or was not asked all of it."""


class ToolError(WardroundError):
    """A tool did not do its part; the message is shown to the model that called it."""

    def __init__(self, tool: str, what: str) -> None:
        self.tool, self.what = tool, what
        super().__init__(f"tool {tool}: {what}")


class ToolRetry(ToolError):
    """The arguments were wrong; the message says how to mend them."""


class ToolRefused(ToolError):
    """The call is not allowed to this agent; repeating it will not help."""


class BudgetExceeded(WardroundError):
    """A case used up what it was given."""

    def __init__(self, resource: str, limit: float, used: float) -> None:
        self.resource, self.limit, self.used = resource, limit, used
        super().__init__(f"budget of {limit:g} {resource} is used up ({used:g}); raise it or ask for less")


class BatchBudgetExceeded(WardroundError):
    """The cases of one run together used up what they were given; unlike a case's own budget it ends the run."""

    def __init__(self, resource: str, limit: float, used: float) -> None:
        self.resource, self.limit, self.used = resource, limit, used
        super().__init__(
            f"of all cases together, the budget of {limit:g} {resource} is used up ({used:g}); raise it or ask for less"
        )


class StoreError(WardroundError):
    """The workspace cannot be read or written."""
