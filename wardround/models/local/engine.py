"""One worker thread per model: it collects requests, decodes them in batches, and fails each for its own faults alone.

A batch runs until its longest answer is done; nothing joins it on the way. Requests that arrive meanwhile make the next
one. For many users at once a server such as vLLM is the better engine.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import torch
from langchain_core.messages import BaseMessage

from wardround.core.errors import ContextExceeded, ModelError, ModelUnavailable, WardroundError
from wardround.models.local.asked import Constraint, Options
from wardround.models.local.constrained import Grammars
from wardround.models.local.decoding import Batch, Writing, padded, shape_of
from wardround.models.local.loading import Loaded
from wardround.models.local.rendering import Inputs, Renderer
from wardround.models.local.sampling import Sampler

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """One generation."""

    tokens: tuple[int, ...]
    """The token that ended it included."""
    logprobs: tuple[float, ...]
    """Of each token, where asked for."""
    finish: str
    """`stop`, or `length` for one that was cut."""
    has_end: bool
    """Whether the last token is one that ends answers, and no text."""


@dataclass(frozen=True)
class Result:
    """What came of a request."""

    prompt_tokens: int
    generations: tuple[Written, ...]


class Request:
    """A conversation to be answered, once or several times."""

    def __init__(self, messages: Sequence[BaseMessage], options: Options) -> None:
        self.messages, self.options = messages, options
        self.future: Future[Result] = Future()
        self.arrived = time.monotonic()
        self.seed = options.seed if options.seed is not None else secrets.randbits(63)
        self.constraint: Constraint | None = options.constraint()
        self.inputs: Inputs = {}
        self.limit = 0
        self.written: dict[int, Written] = {}

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more: it was cancelled, or one of its rows failed."""
        return self.future.done()

    @property
    def prompt_tokens(self) -> int:
        """Length of the encoded conversation."""
        return int(self.inputs["input_ids"].shape[1])

    def finish(self, index: int, written: Written) -> None:
        """Take a generation, and give the result when it is the last."""
        self.written[index] = written
        if self.is_over or len(self.written) < self.options.n:
            return
        if self.future.set_running_or_notify_cancel():
            generations = tuple(self.written[i] for i in range(self.options.n))
            self.future.set_result(Result(self.prompt_tokens, generations))

    def fail(self, error: WardroundError) -> None:
        """Give an error instead of a result."""
        if not self.is_over and self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


@dataclass(frozen=True)
class _Row:
    """One generation of a request."""

    request: Request
    index: int


class Engine:
    """Runs one loaded model."""

    def __init__(self, loaded: Loaded, *, batch: int, gather: float) -> None:
        """Start the worker.

        Args:
            loaded: The model.
            batch: Rows decoded together at most.
            gather: Seconds that a request waits for company.

        Raises:
            UsageError: The model has no usable chat template.
        """
        self.name = loaded.name
        self.tokenizer = loaded.tokenizer
        self._loaded, self._batch, self._gather = loaded, batch, gather
        self._renderer = Renderer(loaded)
        width = loaded.model.config.get_text_config(decoder=True).vocab_size
        self._grammars = Grammars(loaded.tokenizer, width=width, ends=loaded.ends)
        self._arrivals: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._rows: deque[_Row] = deque()
        self._lock = threading.Lock()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name=f"wardround {loaded.name}", daemon=True)
        self._thread.start()

    def submit(self, messages: Sequence[BaseMessage], options: Options) -> Future[Result]:
        """Ask for a conversation to be answered; cancelling the future ends its rows alone.

        Raises:
            UsageError: What the answer is to be held to is not known.
            ModelUnavailable: The model is closed.
        """
        request = Request(messages, options)
        with self._lock:
            if self._is_closed:
                raise self._closed()
            self._arrivals.put(request)
        return request.future

    def token_ids(self, text: str) -> list[int]:
        """Return the tokens of a text, without those that frame a prompt."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def close(self) -> None:
        """End the worker and give the model back; requests under way fail."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._arrivals.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _closed(self) -> ModelUnavailable:
        return ModelUnavailable(self.name, "is closed; load it again")

    def _work(self) -> None:
        try:
            while self._collect():
                if self._rows:
                    self._decode(self._next_batch())
        finally:
            # also where the worker itself broke, or callers would wait for ever
            with self._lock:
                self._is_closed = True
            self._drop_all()

    def _drop_all(self) -> None:
        left = [row.request for row in self._rows]
        while not self._arrivals.empty():
            arrived = self._arrivals.get()
            left += [arrived] if arrived is not None else []
        for request in left:
            request.fail(self._closed())
        self._rows.clear()
        del self._loaded, self._renderer, self._grammars

    def _collect(self) -> bool:
        """Take in what arrives, until a batch is full or the oldest has waited long enough; false when closed."""
        while True:
            wait = None
            if len(self._rows) >= self._batch:
                return not self._is_closed
            if self._rows:  # what waits already is taken along, however long the oldest has waited
                wait = max(0.0, self._rows[0].request.arrived + self._gather - time.monotonic())
            try:
                request = self._arrivals.get(timeout=wait)
            except queue.Empty:
                return not self._is_closed
            if request is None:
                return False
            self._prepare(request)

    def _prepare(self, request: Request) -> None:
        try:
            self._encode(request)
        except WardroundError as error:
            request.fail(error)
        except Exception as error:  # whatever one request's content does to a processor is that request's fault
            request.fail(ModelError(self.name, f"cannot read what was sent ({type(error).__name__}: {error})"))
        else:
            self._rows.extend(_Row(request, i) for i in range(request.options.n))

    def _encode(self, request: Request) -> None:
        loaded, options = self._loaded, request.options
        request.inputs = self._renderer.encode(request.messages, options.offered)
        length = request.prompt_tokens
        room = loaded.context - (0 if loaded.is_encoder_decoder else length)
        if length > loaded.context or room < 1:
            what = f"what was sent is {length} tokens, and it reads {loaded.context} with the answer"
            raise ContextExceeded(self.name, f"{what}; send less, or load it with a larger context")
        request.limit = min(options.max_tokens or room, room)
        if request.constraint is not None:
            self._grammars.begin(request.constraint)

    def _next_batch(self) -> list[_Row]:
        """Take the oldest row, and those that can run with it in their order."""
        shape = shape_of(self._rows[0].request.inputs)
        taken: list[_Row] = []
        left: deque[_Row] = deque()
        for row in self._rows:
            fits = len(taken) < self._batch and shape_of(row.request.inputs) == shape
            (taken if fits else left).append(row)
        self._rows = left
        return taken

    def _decode(self, rows: list[_Row]) -> None:
        """Decode a batch; where it fails, its halves, until what is at fault is alone."""
        rows = [row for row in rows if not row.request.is_over]
        if not rows:
            return
        error = self._attempt(rows)
        if error is None:
            return
        if len(rows) == 1:
            rows[0].request.fail(error)
            return
        logger.warning("%s: a batch of %d failed and is halved (%s)", self.name, len(rows), error)
        half = len(rows) // 2
        self._decode(rows[:half])
        self._decode(rows[half:])

    def _attempt(self, rows: list[_Row]) -> ModelError | None:
        """Decode rows together, and return what went wrong instead of keeping the batch alive in a traceback."""
        try:
            writings = [self._begin(row) for row in rows]
            self._generate(rows, writings)
        except torch.OutOfMemoryError:
            longest = max(row.request.prompt_tokens + row.request.limit for row in rows)
            error = f"out of memory on {self._loaded.device} with {len(rows)} requests of up to {longest} tokens"
            error += "; load it with a shorter context, a smaller dtype or quantisation"
        except Exception as broken:  # what can break inside a model has no common class
            logger.debug("%s: failed while decoding", self.name, exc_info=True)
            error = f"failed while decoding ({type(broken).__name__}: {broken})"
        else:
            for row, writing in zip(rows, writings, strict=True):
                self._finish(row, writing)
            return None
        if self._loaded.device.type == "cuda":
            torch.cuda.empty_cache()
        return ModelError(self.name, error)

    def _begin(self, row: _Row) -> Writing:
        request, options = row.request, row.request.options
        return Writing(
            sampler=Sampler(options.temperature, request.seed + row.index, self._loaded.device),
            matcher=self._grammars.begin(request.constraint) if request.constraint is not None else None,
            limit=request.limit,
            stop=options.stop,
            scored=options.logprobs,
            is_cancelled=lambda: request.is_over or self._is_closed,
        )

    def _generate(self, rows: list[_Row], writings: list[Writing]) -> None:
        loaded = self._loaded
        batch = Batch(writings, loaded.tokenizer, loaded.ends)
        inputs = padded([row.request.inputs for row in rows], loaded.pad)
        dtype = loaded.model.dtype
        placed = {
            name: value.to(loaded.device, dtype if torch.is_floating_point(value) else None)
            for name, value in inputs.items()
        }
        with torch.inference_mode():
            loaded.model.generate(
                **placed,
                do_sample=False,
                max_new_tokens=max(writing.limit for writing in writings),
                logits_processor=batch.processors(),
                stopping_criteria=batch.criteria(),
            )

    def _finish(self, row: _Row, writing: Writing) -> None:
        if writing.finish not in ("stop", "length"):
            row.request.fail(self._closed())
            return
        has_end = writing.tokens[-1] in self._loaded.ends
        row.request.finish(
            row.index, Written(tuple(writing.tokens), tuple(writing.logprobs), writing.finish, has_end=has_end)
        )
