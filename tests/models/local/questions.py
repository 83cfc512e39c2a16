"""Questions to local models, with pictures."""

from __future__ import annotations

import base64
import io
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from PIL import Image


def picture(colour: str, size: tuple[int, int] = (64, 48)) -> dict[str, Any]:
    """A picture of one colour, as LangChain's image block."""
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, "PNG")
    return {"type": "image", "base64": base64.b64encode(stream.getvalue()).decode(), "mime_type": "image/png"}


def asked(text: str, *colours: str) -> list[HumanMessage]:
    """A question, with pictures in front of it."""
    return [HumanMessage([*map(picture, colours), {"type": "text", "text": text}])]


def logprobs(reply: AIMessage) -> list[float]:
    """The log-probabilities of an answer's tokens."""
    return [entry["logprob"] for entry in reply.response_metadata["logprobs"]["content"]]
