"""The clerk's turn in a conversation: all that was said so far is gone through again, and the next step is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from wardround.core.errors import ModelError
from wardround.models.clerk.speech import Situation, situation_of
from wardround.models.clerk.understanding import understand
from wardround.models.clerk.work import work


def next_message(name: str, messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> AIMessage | None:
    """Return the next message of a record task; nothing where the conversation is about something else.

    The clerk remembers nothing: the same conversation gives the same message.

    Args:
        name: Of the model, for errors.
        messages: The whole conversation.
        options: What the model was bound with.

    Raises:
        ModelError: Some turn was not said by the clerk, so it cannot go on from there, or the task was finished.
    """
    situation = situation_of(messages, options)
    return None if situation is None else _next(name, situation)


def _next(name: str, situation: Situation) -> AIMessage:
    steps = work(understand(situation.task), situation.kit)
    own = situation.speech.say(next(steps), 1)
    for number, turn in enumerate(situation.turns, start=1):
        if not situation.speech.is_same(turn.said, own):
            raise ModelError(name, f"turn {number} of the conversation is not its own; begin the task anew with it")
        try:
            own = situation.speech.say(steps.send(turn.reply), number + 1)
        except StopIteration as error:
            raise ModelError(name, "the task is finished; begin another one in a new conversation") from error
    return own
