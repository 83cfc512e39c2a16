"""The writes of a transcript, as the published graders find them and as the published harness took them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Any

from wardround.agents.ehr.episode import Turn

ACCEPTED = "POST request accepted"
"""With these words the harness acknowledges a write, and by them the graders find it."""
_FENCES = ("```tool_code", "```")


@dataclass(frozen=True)
class Post:
    """A write as the published graders see it."""

    url: str
    payload: Any
    """Any JSON value; nobody has looked at it yet."""


@dataclass(frozen=True)
class Extraction:
    """What the published graders find in a transcript."""

    posts: tuple[Post, ...]
    lost: int
    """Acknowledged turns that they drop, since the raw turn cannot be parsed: one in a fence, for instance."""
    is_broken: bool
    """Whether they fail altogether, since `POST` stands in the last message of all."""


def extract(turns: Sequence[Turn]) -> Extraction:
    """Find the writes as published: agent turns with `POST` in them whose next message acknowledges a write.

    The turn is taken raw: its first line without the first four characters is the address, the others are the payload.
    """
    posts: list[Post | None] = []
    is_broken = False
    for turn, following in zip_longest(turns, turns[1:]):
        if turn is None or turn.role != "agent" or "POST" not in turn.content:
            continue
        if following is None:
            is_broken = True
        elif ACCEPTED in following.content:
            posts.append(_post(turn.content))
    found = tuple(post for post in posts if post is not None)
    return Extraction(found, len(posts) - len(found), is_broken)


def taken(turns: Sequence[Turn]) -> tuple[Mapping[str, Any], ...]:
    """Return the resources that the harness acknowledged, fences or not: what the agent was told it had written."""
    resources = []
    for turn, following in pairwise(turns):
        text = turn.content
        for fence in _FENCES:
            text = text.replace(fence, "")
        post = _post(text.strip()) if turn.role == "agent" and text.strip().startswith("POST") else None
        if post is not None and following.content.startswith(ACCEPTED) and isinstance(post.payload, dict):
            resources.append(post.payload)
    return tuple(resources)


def _post(text: str) -> Post | None:
    first, _, rest = text.partition("\n")
    try:
        return Post(first[4:].strip(), json.loads(rest))
    except (ValueError, RecursionError):
        return None
