"""A chat model that answers from a script, strict both ways: no unexpected call, no answer left over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel, Field, PrivateAttr, ValidationError

from wardround.core.errors import UnscriptedCall, UsageError


class ScriptedAnswer(BaseModel):
    """One step of a script."""

    answer: str
    """Name of the schema that must be asked for, or `*` for any."""
    says: Any
    """Text, or an object that is written as JSON."""
    times: int = Field(default=1, ge=1)
    """For how many calls it is good."""
    when: str | None = None
    """Words that the last message must hold for this step to apply."""


class ScriptedChatModel(BaseChatModel):
    """Answers each call with the first unused step that fits the schema asked for."""

    script: tuple[ScriptedAnswer, ...]
    _left: list[int] = PrivateAttr()
    _asked: list[list[BaseMessage]] = PrivateAttr(default_factory=list)

    def model_post_init(self, context: Any, /) -> None:
        """Count what is left of each step."""
        self._left = [step.times for step in self.script]

    @classmethod
    def from_file(cls, path: Path) -> ScriptedChatModel:
        """Read a script: a JSON list of steps.

        Raises:
            UsageError: The file is missing or no script.
        """
        try:
            steps = json.loads(path.read_text("utf-8"))
            return cls(script=tuple(ScriptedAnswer.model_validate(step) for step in steps))
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror}); give a script file") from error
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False, include_context=False)
            what = "; ".join(f"{'.'.join(map(str, f['loc'])) or 'step'}: {f['msg']}" for f in faults[:5])
            raise UsageError(f"{path}: not a script ({what}); write a JSON list of steps") from error
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path}: not a script ({error}); write a JSON list of steps") from error

    @property
    def asked(self) -> Sequence[Sequence[BaseMessage]]:
        """The messages of every call so far."""
        return tuple(self._asked)

    def assert_finished(self) -> None:
        """Check that every step was used.

        Raises:
            UnscriptedCall: Some were not; names them.
        """
        left = [step.answer for step, n in zip(self.script, self._left, strict=True) if n > 0]
        if left:
            raise UnscriptedCall("scripted", f"{len(left)} steps were never asked for: {', '.join(left)}")

    @property
    def _llm_type(self) -> str:
        return "wardround-scripted"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        wanted = (kwargs.get("response_format") or {}).get("json_schema", {}).get("name", "*")
        self._asked.append(list(messages))
        for i, step in enumerate(self.script):
            fits = step.answer in ("*", wanted) and (step.when is None or step.when in messages[-1].text)
            if fits and self._left[i] > 0:
                self._left[i] -= 1
                says = step.says if isinstance(step.says, str) else json.dumps(step.says)
                return ChatResult(generations=[ChatGeneration(message=AIMessage(content=says))])
        raise UnscriptedCall("scripted", f"asked for {wanted}, which the script does not hold (any more)")
