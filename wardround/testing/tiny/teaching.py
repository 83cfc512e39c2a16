"""Teaching a tiny model a handful of answers by heart, so that a test can depend on what it says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from wardround.core.errors import UsageError
from wardround.testing.tiny.building import check_libraries, save

LEARNING_RATE = 3e-3
LEARNED = 0.01
"""Loss of the worst answer, in nats a token, at which training ends: each token then has a probability near 0.99."""


class Lesson(NamedTuple):
    """A conversation and how the model is to go on; a pair of the two will do as well."""

    messages: Sequence[Mapping[str, Any]]
    """With `role` and `content`: a string, or blocks {"type": "text", "text"} and {"type": "image", "image"}, where
    the image is one of Pillow."""
    answer: str
    tools: Sequence[Mapping[str, Any]] = ()
    """On offer, as OpenAI's protocol has them, for templates that list tools."""


def teach(
    folder: Path,
    lessons: Iterable[Lesson | tuple[Sequence[Mapping[str, Any]], str]],
    *,
    out: Path,
    passes: int = 200,
) -> Path:
    """Train a tiny model until greedy decoding gives every answer to the letter, and save it elsewhere.

    It knows these conversations alone: one token more in a prompt, and the answer may be another. Some
    30 passes are needed; what one takes grows with the number and length of the lessons.

    Args:
        folder: Of a model made by `build`.
        lessons: What it has to know; an mT5 takes the text of the last message alone, since it has no template.
        out: Where the taught model is saved; may be the same folder.
        passes: Over all lessons, at most.

    Returns:
        The folder of the taught model.

    Raises:
        UsageError: There is no lesson, or some answer was not learned in them.
        MissingExtra: torch or transformers is not installed.
    """
    told = [Lesson(*lesson) for lesson in lessons]
    if not told:
        raise UsageError("no lessons to teach; give at least one pair of messages and answer")
    model, reader = _load(folder)
    with _one_thread():
        prompts = [_prompt(reader, lesson) for lesson in told]
        targets = [_target(model, reader, lesson.answer) for lesson in told]
        _train(model, [_example(model, *pair) for pair in zip(prompts, targets, strict=True)], passes)
        for number, (prompt, target, lesson) in enumerate(zip(prompts, targets, told, strict=True), 1):
            _check(model, reader, prompt, target, f"lesson {number}, {lesson.answer[:60]!r},")
    out.mkdir(parents=True, exist_ok=True)
    save(model, reader, out)
    return out


@contextmanager
def _one_thread() -> Iterator[None]:
    # threads that wait for each other at every tiny operation make it ten times slower where cores are shared
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _load(folder: Path) -> tuple[Any, Any]:
    check_libraries("")
    import transformers as tf
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES as SEEING

    config = tf.AutoConfig.from_pretrained(folder)
    check_libraries(config.model_type)
    if config.is_encoder_decoder:
        model: Any = tf.AutoModelForSeq2SeqLM.from_pretrained(folder)
    elif config.model_type in SEEING:
        return tf.AutoModelForImageTextToText.from_pretrained(folder), tf.AutoProcessor.from_pretrained(folder)
    else:
        model = tf.AutoModelForCausalLM.from_pretrained(folder)
    return model, tf.AutoTokenizer.from_pretrained(folder)


def _prompt(reader: Any, lesson: Lesson) -> dict[str, Any]:
    if not reader.chat_template:
        return dict(reader(str(lesson.messages[-1]["content"]), return_tensors="pt"))
    encoded = reader.apply_chat_template(
        [dict(message) for message in lesson.messages],
        tools=list(lesson.tools) or None,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )
    return dict(encoded)


def _target(model: Any, reader: Any, answer: str) -> Any:
    """Return the tokens of an answer and its end, of shape (1, tokens)."""
    import torch

    tokenizer = getattr(reader, "tokenizer", reader)
    ends = model.generation_config.eos_token_id
    end = ends[-1] if model.config.model_type.startswith("gemma3") else ends[0]
    tokens = tokenizer(answer, add_special_tokens=False).input_ids
    return torch.tensor([[*tokens, end]])


def _example(model: Any, prompt: Mapping[str, Any], target: Any) -> dict[str, Any]:
    """Return prompt and answer in one; the answer alone counts towards the loss."""
    import torch

    if model.config.is_encoder_decoder:
        return {**prompt, "labels": target}
    longer = dict(prompt)
    length = prompt["input_ids"].shape[1]
    longer["input_ids"] = torch.cat([prompt["input_ids"], target], 1)
    longer["attention_mask"] = torch.ones_like(longer["input_ids"])
    longer["labels"] = torch.cat([torch.full((1, length), -100), target], 1)
    for kinds in ("token_type_ids", "mm_token_type_ids"):
        if kinds in prompt:
            longer[kinds] = torch.cat([prompt[kinds], torch.zeros_like(target)], 1)
    if "cross_attention_mask" in prompt:
        # every token of the answer sees what the last of the prompt does
        mask = prompt["cross_attention_mask"]
        longer["cross_attention_mask"] = torch.cat([mask, mask[:, -1:].expand(-1, target.shape[1], -1, -1)], 1)
    return longer


def _train(model: Any, examples: Sequence[Mapping[str, Any]], passes: int) -> None:
    import torch

    model.eval()  # dropout would keep what is learned apart from what is said
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.0)
    for _ in range(passes):
        worst = 0.0
        for example in examples:
            loss = model(**example, use_cache=False).loss
            worst = max(worst, loss.item())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
        if worst < LEARNED:
            return


def _check(model: Any, reader: Any, prompt: Mapping[str, Any], target: Any, which: str) -> None:
    output = model.generate(**prompt, max_new_tokens=target.shape[1] + 8, do_sample=False)
    start = 1 if model.config.is_encoder_decoder else prompt["input_ids"].shape[1]
    said = output[0, start:].tolist()
    if said != target[0].tolist():
        tokenizer = getattr(reader, "tokenizer", reader)
        raise UsageError(
            f"{which} was not learned, the model says {tokenizer.decode(said)!r}; "
            "give more passes, fewer lessons or shorter answers"
        )
