"""What the acts of a task are read against."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from wardround.models.clerk.glossary import Code
from wardround.models.clerk.intents import Case, WhoIsMeant
from wardround.models.clerk.wanted import Condition
from wardround.models.clerk.wording import Sentence, Wording


@dataclass(frozen=True)
class Background:
    """A task as far as it is understood before its acts are."""

    wording: Wording
    sentences: tuple[Sentence, ...]
    """Without the stated answers."""
    codes: tuple[Code, ...]
    who: WhoIsMeant
    now: datetime | None
    measured: str
    """What the task looks at, for `it`."""
    asked: Condition | None = None
    """What it asks of a value, for `if so`."""
    stated: Collection[Case] = ()
    """The cases for which it states an answer."""
    has_rule: bool = False
    """Whether it states a dosing rule."""
    priority: str | None = None
    """Of orders for which none is asked."""
    performer: tuple[str, str] | None = None
    """System and code of the specialty that a referral goes to."""
