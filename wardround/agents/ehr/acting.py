"""Carrying out what a model asked for, one step at a time, each recorded with what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from wardround.agents.ehr.conversation import AGENT
from wardround.agents.ehr.protocol import HttpGet, HttpPost, Outcome, Step, ToolCall
from wardround.core.errors import ToolError, ToolRefused
from wardround.core.frozen import content_id
from wardround.tools.fhir.exchanges import Exchange, hearing
from wardround.trace.events import FhirExchanged, SpanKind, ToolCalled, ToolReturned
from wardround.trace.recorder import Recorder

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from wardround.tools.fhir.answers import FhirResponse
    from wardround.tools.fhir.proposals import Proposal
    from wardround.tools.fhir.session import RecordSession


class WriteProposed(Exception):
    """A write must wait until a person has agreed to it."""

    def __init__(self, proposal: Proposal) -> None:
        super().__init__(proposal.summary)
        self.proposal = proposal


@dataclass(frozen=True)
class Answered:
    """What a person said to a write."""

    shown: dict[str, Any]
    """The write as it was shown, see `shown`."""
    is_approved: bool


_answered: ContextVar[Answered | None] = ContextVar("wardround_answered", default=None)


def shown(proposal: Proposal) -> dict[str, Any]:
    """Return a write as it is shown to a person, as plain JSON."""
    return {
        "method": proposal.method,
        "path": proposal.path,
        "body": proposal.body,
        "summary": proposal.summary,
        "warnings": list(proposal.warnings),
    }


async def ask_later(proposal: Proposal) -> bool:
    """Let a write wait for a person who answers later; give it to a session as `person`.

    An answer is good for the write that was shown, to the letter and with the same warnings; for any other
    a person is asked anew.

    Raises:
        WriteProposed: Nobody has answered yet.
    """
    answered = _answered.get()
    if answered is None or answered.shown != shown(proposal):
        raise WriteProposed(proposal)
    return answered.is_approved


@dataclass(frozen=True)
class Acting:
    """The hands of one episode."""

    session: RecordSession
    tools: Mapping[str, BaseTool]
    api_base: str
    """Base URL as the model was told it; it need not be the one that the session's client asks."""
    recorder: Recorder

    async def carry_out(self, step: Step, *, turn: int, place: int, answered: Answered | None = None) -> Outcome:
        """Carry out one step.

        Args:
            step: What is asked for.
            turn: Which turn of the agent it belongs to.
            place: Which step of the turn it is.
            answered: What a person said to the write of this step, where it had to wait.

        Raises:
            WriteProposed: A person has to be asked first; nothing was written.
        """
        name, arguments = _named(step)
        call = content_id("tool", AGENT, turn, place, name, arguments)
        with self.recorder.span(name, SpanKind.TOOL), _with(answered):
            if answered is None:
                self.recorder.record(ToolCalled, call=call, agent=AGENT, tool=name, arguments=arguments)
            outcome = await self._heard(step)
            told = {"text": "", "error": outcome.text} if outcome.is_error else {"text": outcome.text}
            self.recorder.record(ToolReturned, call=call, **told)
        return outcome

    async def _heard(self, step: Step) -> Outcome:
        def record(exchange: Exchange) -> None:
            self.recorder.record(FhirExchanged, **asdict(exchange))

        with hearing(record):
            return await self._done(step)

    async def _done(self, step: Step) -> Outcome:
        try:
            match step:
                case ToolCall():
                    return await self._use(step)
                case HttpGet(url=url):
                    return await self._get(url)
                case HttpPost():
                    return await self._post(step)
        except ToolError as error:
            return Outcome(str(error), is_error=True)

    async def _use(self, call: ToolCall) -> Outcome:
        tool = self.tools.get(call.name)
        if call.fault is not None or tool is None:
            fault = call.fault or f"there is no tool {call.name!r}; there are {', '.join(self.tools)}"
            return Outcome(fault, is_error=True, is_misfit=True)
        misfit = _misfit(tool, call.arguments)
        if misfit is not None:
            return Outcome(misfit, is_error=True, is_misfit=True)
        answer = await tool.ainvoke(call.arguments)
        return Outcome(answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))

    async def _get(self, url: str) -> Outcome:
        response = await self.session.get(self._path(url))
        return _refused(response) if response.is_error else Outcome(_body(response))

    async def _post(self, request: HttpPost) -> Outcome:
        if request.fault is not None:
            return Outcome(request.fault, is_error=True)
        # a write that goes nowhere may name any address, as in MedAgentBench
        path = (self._below(request.url) or request.url) if self.session.pretend else self._path(request.url)
        response = await self.session.write("POST", path, request.body)
        if response.is_error:
            return _refused(response)
        done = self.session.calls[-1]
        return Outcome(done.outcome, written=done.result)

    def _path(self, url: str) -> str:
        """Return the part of a URL behind the base.

        Raises:
            ToolRefused: It has another base, or is no URL.
        """
        path = self._below(url)
        if path is None:
            what = f"{url[:200]!r} is not below the server's base URL; write {self.api_base.rstrip('/')}/<type>?..."
            raise ToolRefused("record", what)
        if not path.isprintable():
            raise ToolRefused("record", "the URL holds a line break; write one URL on one line and nothing after it")
        return path

    def _below(self, url: str) -> str | None:
        base = self.api_base.rstrip("/")
        if url.startswith(base) and url[len(base) :][:1] in ("", "/", "?", "&"):
            return url[len(base) :].lstrip("/")
        # links to further pages are the server's own and bear its base
        return self.session.client.base.relative(url)


@contextmanager
def _with(answered: Answered | None) -> Iterator[None]:
    token = _answered.set(answered)
    try:
        yield
    finally:
        _answered.reset(token)


def _named(step: Step) -> tuple[str, dict[str, Any]]:
    """Return a step as a tool's name and arguments, for the log."""
    match step:
        case ToolCall(name=name, arguments=arguments):
            return name or "no name", arguments
        case HttpGet(url=url):
            return "GET", {"url": url}
        case HttpPost(url=url, body=body):
            return "POST", {"url": url, "body": body}


def _misfit(tool: BaseTool, arguments: Mapping[str, Any]) -> str | None:
    """Return what is wrong with arguments; one that the tool does not know would be dropped without a word."""
    faults = [f"{name}: there is no such argument" for name in arguments if name not in tool.args]
    schema = tool.args_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel) and not faults:
        try:
            schema.model_validate(arguments)
        except ValidationError as error:
            faults = [
                f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False)
            ]
    if not faults:
        return None
    return f"the arguments of {tool.name} do not fit ({'; '.join(faults[:5])}); it takes: {', '.join(tool.args)}"


def _refused(response: FhirResponse) -> Outcome:
    return Outcome(f"the server answered {response.status}: {response.text or 'no reason given'}", is_error=True)


def _body(response: FhirResponse) -> str:
    body = response.body
    return body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
