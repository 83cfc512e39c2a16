"""What goes to a FHIR server and comes back, as values that can be kept and answered from."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from wardround.core.errors import NotRecorded
from wardround.tools.fhir.answers import FhirRequestError, FhirResponse

_KEPT = ("etag", "location", "content-location", "last-modified")
"""Headers that say something about a resource."""


@dataclass(frozen=True)
class Exchange:
    """One request, all its attempts taken together, and its answer or why there was none."""

    method: str
    url: str
    body: str | None
    """As it was sent."""
    status: int | None
    headers: dict[str, str]
    """Those that say something about a resource, in small letters."""
    answer: str | None
    """Body of the answer as JSON."""
    fault: str | None = None
    """Why there was no answer that could be used."""
    may_be_done: bool = False
    """A write of which nobody knows whether the server has done it."""

    @classmethod
    def answered(cls, method: str, url: str, body: str | None, response: FhirResponse) -> Exchange:
        """Keep an answer."""
        headers = {name: value for name in _KEPT if (value := response.headers.get(name)) is not None}
        answer = json.dumps(response.body, ensure_ascii=False) if response.body is not None else None
        return cls(method, url, body, response.status, headers, answer)

    @classmethod
    def failed(cls, method: str, url: str, body: str | None, error: FhirRequestError) -> Exchange:
        """Keep a failure."""
        return cls(method, url, body, error.status, {}, None, error.reason, error.may_be_done)

    def repeated(self) -> FhirResponse:
        """Return the answer once more.

        Raises:
            FhirRequestError: There was none.
        """
        if self.fault is not None:
            raise FhirRequestError(self.method, self.url, self.status, self.fault, may_be_done=self.may_be_done)
        assert self.status is not None, "an answer has a status"
        return FhirResponse(self.status, self.headers, json.loads(self.answer) if self.answer is not None else None)


_told: ContextVar[Callable[[Exchange], None] | None] = ContextVar("wardround_exchanges", default=None)


@contextmanager
def hearing(told: Callable[[Exchange], None]) -> Iterator[None]:
    """Tell of each exchange within the block, in this task and those begun in it; clients may be shared by others."""
    token = _told.set(told)
    try:
        yield
    finally:
        _told.reset(token)


def tell(exchange: Callable[[], Exchange]) -> None:
    """Tell whoever listens; without anybody the exchange is not made."""
    told = _told.get()
    if told is not None:
        told(exchange())


class RecordedServer:
    """Answers requests as they were answered: the first of several alike with the first answer, and so on."""

    def __init__(self, exchanges: Iterable[Exchange], *, run: str) -> None:
        """Take what was exchanged in a run, in order."""
        self._run = run
        self._left: dict[tuple[str, str, str | None], deque[Exchange]] = defaultdict(deque)
        for exchange in exchanges:
            self._left[exchange.method, exchange.url, exchange.body].append(exchange)

    def answer(self, method: str, url: str, body: str | None) -> FhirResponse:
        """Return the next answer to a request.

        Raises:
            NotRecorded: It was not sent, or not so often.
            FhirRequestError: It had no answer.
        """
        left = self._left[method, url, body]
        if not left:
            raise NotRecorded(f"replay:{self._run}", f"the run holds no further answer to {method} {url}")
        return left.popleft().repeated()
