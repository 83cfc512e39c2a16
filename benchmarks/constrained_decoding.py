"""Libraries that hold decoding to a grammar, compared on the answers a consult asks for.

A model that has learned nothing is the hardest test of a grammar: it takes any allowed token. Here such a model
writes answers under each library, over byte-level vocabularies of several sizes trained on invented words, and every
finished answer is checked against the pydantic class it was asked for. Smaller schemas, one keyword each, show which
bounds a library holds. Libraries that are not installed are named and left out; each combination runs in a process
of its own and is ended when it takes too long.

    python benchmarks/constrained_decoding.py --vocabulary 1024 32000 128000 --answers 20
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, Protocol

import jsonschema
import numpy as np
from pydantic import BaseModel, ValidationError
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from wardround.core.answers import AttendingAnswer, SpecialistAnswer, TriageAnswer

ANSWERS: dict[str, type[BaseModel]] = {
    kind.__name__: kind for kind in (TriageAnswer, SpecialistAnswer, AttendingAnswer)
}
END = "<eos>"
CLOSING = 0.15
"""How often the model takes a token that ends something, so that its answers end."""


def _of(value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"value": value}, "required": ["value"], "additionalProperties": False}


BOUNDS: dict[str, dict[str, Any]] = {
    "number minimum maximum": _of({"type": "number", "minimum": 0.0, "maximum": 1.0}),
    "number exclusive bounds": _of({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}),
    "integer minimum maximum": _of({"type": "integer", "minimum": 3, "maximum": 17}),
    "integer multipleOf": _of({"type": "integer", "multipleOf": 5}),
    "maxLength": _of({"type": "string", "maxLength": 4}),
    "minLength": _of({"type": "string", "minLength": 3, "maxLength": 6}),
    "pattern": _of({"type": "string", "pattern": "^[A-Z][0-9]{2}$"}),
    "maxItems": _of({"type": "array", "items": {"type": "boolean"}, "maxItems": 3}),
    "minItems": _of({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4}),
    "uniqueItems": _of({"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "maxItems": 4}),
    "enum": _of({"enum": ["a", "b", 1, None]}),
    "null union": _of({"anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}]}),
    "format date": _of({"type": "string", "format": "date"}),
    "oneOf overlapping": _of({"oneOf": [{"type": "integer", "minimum": 0}, {"type": "integer", "maximum": 5}]}),
    "object maxProperties": _of({"type": "object", "additionalProperties": {"type": "boolean"}, "maxProperties": 2}),
}


class Grammar(Protocol):
    """One answer under way."""

    def allowed(self) -> np.ndarray[Any, Any]:
        """Which tokens may come next, one bit each."""
        ...

    def take(self, token: int) -> None:
        """Go on by a token."""
        ...

    def ended(self) -> bool:
        """Whether nothing can follow."""
        ...


Compiler = Callable[[Tokenizer, int], Callable[[dict[str, Any]], Callable[[], Grammar]]]
"""From a tokenizer and its end token to what turns a schema into answers to be begun."""


def _bits(mask: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    return np.unpackbits(mask.view(np.uint8), bitorder="little")[:size].nonzero()[0]


def _wrapped(tokenizer: Tokenizer) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)


def with_llguidance(tokenizer: Tokenizer, end: int) -> Callable[[dict[str, Any]], Callable[[], Grammar]]:
    import llguidance
    import llguidance.hf

    size = tokenizer.get_vocab_size()
    words = llguidance.hf.from_tokenizer(_wrapped(tokenizer), n_vocab=size)

    class Answer:
        def __init__(self, grammar: str) -> None:
            self.matcher = llguidance.LLMatcher(words, grammar, log_level=0)
            if self.matcher.is_error():
                raise ValueError(self.matcher.get_error())

        def allowed(self) -> np.ndarray[Any, Any]:
            return np.frombuffer(self.matcher.compute_bitmask(), np.uint8)

        def take(self, token: int) -> None:
            if not self.matcher.consume_token(token):
                raise ValueError(self.matcher.get_error())

        def ended(self) -> bool:
            return bool(self.matcher.is_stopped())

    def compiled(schema: dict[str, Any]) -> Callable[[], Grammar]:
        grammar = llguidance.LLMatcher.grammar_from_json_schema(schema, overrides={"whitespace_flexible": False})
        begun = Answer(grammar).matcher

        def begin() -> Grammar:
            answer = Answer.__new__(Answer)
            answer.matcher = begun.deep_copy()
            return answer

        return begin

    return compiled


def with_xgrammar(tokenizer: Tokenizer, end: int) -> Callable[[dict[str, Any]], Callable[[], Grammar]]:
    import xgrammar

    size = tokenizer.get_vocab_size()
    info = xgrammar.TokenizerInfo.from_huggingface(_wrapped(tokenizer), vocab_size=size, stop_token_ids=[end])
    compiler = xgrammar.GrammarCompiler(info, max_threads=1)

    class Answer:
        def __init__(self, grammar: Any) -> None:
            self.matcher = xgrammar.GrammarMatcher(grammar)
            self.mask = xgrammar.allocate_token_bitmask(1, size)

        def allowed(self) -> np.ndarray[Any, Any]:
            self.matcher.fill_next_token_bitmask(self.mask)
            return self.mask.numpy().view(np.uint8).ravel()

        def take(self, token: int) -> None:
            if not self.matcher.accept_token(token):
                raise ValueError("the token is refused that the mask allowed")

        def ended(self) -> bool:
            return bool(self.matcher.is_terminated())

    def compiled(schema: dict[str, Any]) -> Callable[[], Grammar]:
        grammar = compiler.compile_json_schema(json.dumps(schema), any_whitespace=False, strict_mode=True)
        return lambda: Answer(grammar)

    return compiled


def with_outlines_core(tokenizer: Tokenizer, end: int) -> Callable[[dict[str, Any]], Callable[[], Grammar]]:
    import outlines_core
    from outlines_core.json_schema import build_regex_from_schema

    size = tokenizer.get_vocab_size()
    unicode_bytes = {c: b for b, c in _byte_alphabet().items()}
    words: dict[bytes, list[int]] = {}
    for word, token in tokenizer.get_vocab().items():
        if token != end:
            words.setdefault(bytes(unicode_bytes[c] for c in word), []).append(token)
    vocabulary = outlines_core.Vocabulary(end, words)

    class Answer:
        def __init__(self, index: Any) -> None:
            self.guide = outlines_core.Guide(index)
            self.mask = np.zeros((size + 31) // 32, np.uint32)

        def allowed(self) -> np.ndarray[Any, Any]:
            self.guide.write_mask_into(self.mask.ctypes.data, self.mask.size, self.mask.itemsize)
            return self.mask.view(np.uint8)

        def take(self, token: int) -> None:
            self.guide.advance(token, return_tokens=False)

        def ended(self) -> bool:
            return bool(self.guide.is_finished())

    def compiled(schema: dict[str, Any]) -> Callable[[], Grammar]:
        index = outlines_core.Index(build_regex_from_schema(json.dumps(schema), whitespace_pattern=""), vocabulary)
        return lambda: Answer(index)

    return compiled


LIBRARIES: dict[str, Compiler] = {
    "llguidance": with_llguidance,
    "xgrammar": with_xgrammar,
    "outlines-core": with_outlines_core,
}


def _byte_alphabet() -> dict[int, str]:
    """The characters by which byte-level vocabularies write bytes: printable ones as they are, the rest from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def _invented(sentences: int) -> Iterator[str]:
    rng = random.Random(0)
    begins = ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "v", "ch", "st", "tr", "ph"]
    vowels = ["a", "e", "i", "o", "u", "ia", "ea"]
    ends = ["", "", "s", "n", ",", ".", '"', '",', '"}', '":', " 0.1", " 27", "é", "µ", "\n", "("]
    for _ in range(sentences):
        words = ("".join(rng.choice(begins) + rng.choice(vowels) for _ in range(rng.randint(1, 4))) for _ in range(20))
        yield " ".join(word + rng.choice(ends) for word in words)


def vocabulary(size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_invented(max(1000, size // 4)), trainer)
    return tokenizer


class Untaught:
    """A model that takes any allowed token, those that end something more often."""

    def __init__(self, tokenizer: Tokenizer, end: int, seed: int) -> None:
        self.size = tokenizer.get_vocab_size()
        self.rng = np.random.default_rng(seed)
        self.end = end
        pieces = (tokenizer.id_to_token(token) for token in range(self.size))
        self.closing = np.array([any(sign in piece for sign in '"]},') for piece in pieces])
        self.closing[end] = True

    def choose(self, mask: np.ndarray[Any, Any]) -> int:
        """Return a token that is allowed."""
        allowed = _bits(mask, self.size)
        closing = allowed[self.closing[allowed]]
        from_these = closing if len(closing) and self.rng.random() < CLOSING else allowed
        return int(self.rng.choice(from_these))

    def write(self, answer: Grammar, limit: int, times: list[float]) -> list[int] | None:
        """Return the tokens of a finished answer, or nothing where the limit cut it."""
        tokens: list[int] = []
        while len(tokens) < limit:
            started = time.perf_counter()
            mask = answer.allowed()
            times.append(time.perf_counter() - started)
            token = self.choose(mask)
            if token == self.end:
                return tokens
            started = time.perf_counter()
            answer.take(token)
            times[-1] += time.perf_counter() - started
            tokens.append(token)
            if answer.ended():
                return tokens
        return None


def _fault(text: str, check: type[BaseModel] | dict[str, Any]) -> str | None:
    try:
        if isinstance(check, dict):
            jsonschema.validate(json.loads(text), check, format_checker=jsonschema.FormatChecker())
        else:
            check.model_validate_json(text)
    except (ValueError, ValidationError, jsonschema.ValidationError) as error:
        return f"{str(error).splitlines()[0][:120]} in {text[:120]!r}"
    return None


def measure(library: str, size: int, schemas: dict[str, Any], answers: int, limit: int, sent: Connection) -> None:
    """Compile and write under each schema, and send what came of each."""
    tokenizer = vocabulary(size)
    end = tokenizer.token_to_id(END)
    started = time.perf_counter()
    compiler = LIBRARIES[library](tokenizer, end)
    sent.send(("start", {"seconds": round(time.perf_counter() - started, 4)}))
    for name, check in schemas.items():
        schema = check if isinstance(check, dict) else _closed(check.model_json_schema())
        try:
            sent.send((name, _written(compiler, schema, check, Untaught(tokenizer, end, 0), tokenizer, answers, limit)))
        except Exception as error:  # any refusal of a library is a result here
            sent.send((name, {"refused": f"{type(error).__name__}: {str(error)[:160]}"}))
    sent.send(None)


def _closed(schema: Any) -> Any:
    """Forbid keys that the schema does not name, as `strict` asks."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **closed} if "properties" in schema else closed


def _written(
    compiler: Callable[[dict[str, Any]], Callable[[], Grammar]],
    schema: dict[str, Any],
    check: type[BaseModel] | dict[str, Any],
    model: Untaught,
    tokenizer: Tokenizer,
    answers: int,
    limit: int,
) -> dict[str, Any]:
    started = time.perf_counter()
    begin = compiler(schema)
    compiled = time.perf_counter() - started
    times: list[float] = []
    faults, finished = [], 0
    for _ in range(answers):
        tokens = model.write(begin(), limit, times)
        if tokens is None:
            continue
        finished += 1
        fault = _fault(tokenizer.decode(tokens, skip_special_tokens=False), check)
        if fault is not None:
            faults.append(fault)
    microseconds = sorted(1e6 * seconds for seconds in times)
    return {
        "compile_ms": round(1e3 * compiled, 2),
        "answers": answers,
        "finished": finished,
        "faulty": len(faults),
        "fault": faults[0] if faults else None,
        "tokens": len(times),
        "mask_us_median": round(statistics.median(microseconds), 1),
        "mask_us_p99": round(microseconds[int(0.99 * (len(microseconds) - 1))], 1),
        "mask_us_max": round(microseconds[-1], 1),
    }


def bounded(library: str, size: int, schemas: dict[str, Any], answers: int, limit: int, seconds: float) -> Any:
    """Measure in a process of its own; what was not done in time says so."""
    context = multiprocessing.get_context("spawn")
    received, sent = context.Pipe(duplex=False)
    worker = context.Process(target=measure, args=(library, size, schemas, answers, limit, sent))
    worker.start()
    sent.close()
    found: dict[str, Any] = {}
    for name in ("start", *schemas):
        if not received.poll(seconds + 60.0 * (name == "start")):
            found[name] = {"refused": f"not done within {seconds:g} s"}
            break
        try:
            found |= [received.recv()]
        except EOFError:
            found[name] = {"refused": "the process died"}
            break
    worker.kill()
    worker.join()
    return found


def of_installation(library: str) -> dict[str, Any]:
    """Return a library's version, its own size on disk, and what it needs besides."""
    distribution = importlib.metadata.distribution(library)
    size = sum(file.size or 0 for file in distribution.files or ())
    needs = [text for text in distribution.requires or () if "extra ==" not in text]
    return {"version": distribution.version, "megabytes": round(size / 1e6, 1), "requires": needs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vocabulary", type=int, nargs="+", default=[1024, 32_000])
    parser.add_argument("--answers", type=int, default=20, help="written under each schema")
    parser.add_argument("--limit", type=int, default=4000, help="tokens of one answer")
    parser.add_argument("--seconds", type=float, default=120.0, help="for one schema under one library")
    parser.add_argument("--library", nargs="+", choices=sorted(LIBRARIES), default=list(LIBRARIES))
    asked = parser.parse_args()
    report: dict[str, Any] = {"left_out": [], "libraries": {}}
    for library in asked.library:
        try:
            installed = of_installation(library)
        except importlib.metadata.PackageNotFoundError:
            report["left_out"].append(f"{library}: not installed")
            continue
        answers = {
            str(size): bounded(library, size, ANSWERS, asked.answers, asked.limit, asked.seconds)
            for size in asked.vocabulary
        }
        bounds = bounded(library, asked.vocabulary[0], BOUNDS, 10 * asked.answers, 200, asked.seconds)
        report["libraries"][library] = {**installed, "answers": answers, "bounds": bounds}
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
