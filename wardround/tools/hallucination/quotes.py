"""Quotes: whether words stand in a source, as whole sentences or as a stretch in quotation marks."""

from __future__ import annotations

import re

from wardround.knowledge.text import sentences

_MARKED = re.compile(r"[\"“”](?P<words>[^\"“”]{12,})[\"“”]")


def quoted_words(text: str) -> list[str]:
    """Return what a claim puts in quotation marks, in single spaces, from a dozen letters on."""
    return [" ".join(m["words"].split()).rstrip(".,") for m in _MARKED.finditer(text)]


def stands_in(quote: str, text: str) -> bool:
    """Whether a quote is the whole text or whole sentences of it; a part of a sentence may turn its sense."""
    said, there = (
        [_plain(sentence.text) for sentence in sentences(" ".join(whole.split()))] for whole in (quote, text)
    )
    return any(there[i : i + len(said)] == said for i in range(len(there))) if said else False


def _plain(text: str) -> str:
    """Fold case, spaces, the full stop and hyphens between letters; a minus before a number stays."""
    return " ".join(re.sub(r"(?<=[^\W\d_])-(?=[^\W\d_])", " ", text.lower()).split()).rstrip(". ")
