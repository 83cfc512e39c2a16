"""An image as it is sent to a model, and the references that stand for it in messages."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wardround.core.errors import CaseError, UsageError

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


class UnfitImage(CaseError):
    """An image that no model can be shown: it cannot be read, or there is nothing to see on it."""


@dataclass(frozen=True)
class Picture:
    """One image in the form in which it is sent, without any metadata of its file."""

    uri: str
    """Where it was read from; of a `data:` URI only the beginning."""
    sha256: str
    """Of `data`; names the picture in messages and logs."""
    mime_type: str
    width: int
    height: int
    """Pixels, as sent."""
    data: bytes = field(repr=False)
    """A PNG file, 8 bits for each of one (grey) or three (red, green, blue) channels."""
    original: str
    """SHA-256 of the file as it was found."""
    changes: tuple[str, ...] = ()
    """What was done to the pixels, in words and in order."""
    problems: tuple[str, ...] = ()
    """Why it may be hard to read, in words."""
    facts: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of a DICOM file: `Modality`, `BodyPartExamined`, `Laterality` and `ViewPosition`, where it states them."""

    def reference(self) -> dict[str, Any]:
        """Return the content block that stands for the image in messages and logs."""
        return {
            "type": "image",
            "sha256": self.sha256,
            "mime_type": self.mime_type,
            "width": self.width,
            "height": self.height,
        }

    def block(self) -> dict[str, Any]:
        """Return the content block with the bytes, in LangChain's standard form."""
        return {"type": "image", "base64": base64.b64encode(self.data).decode("ascii"), "mime_type": self.mime_type}


class Pictures(Mapping[str, Picture]):
    """Pictures by their SHA-256."""

    def __init__(self, pictures: Iterable[Picture] = ()) -> None:
        self._by_sha256 = {picture.sha256: picture for picture in pictures}

    def __getitem__(self, sha256: str) -> Picture:
        return self._by_sha256[sha256]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_sha256)

    def __len__(self) -> int:
        return len(self._by_sha256)

    def inflate(self, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """Return messages with the bytes in place of every reference; the given ones stay as they are.

        Raises:
            UsageError: A message refers to an image that is not among these.
        """
        return [self._inflated(message) for message in messages]

    def _inflated(self, message: BaseMessage) -> BaseMessage:
        content = message.content
        if isinstance(content, str) or not any(_is_reference(block) for block in content):
            return message
        blocks = [self._block(block) if _is_reference(block) else block for block in content]
        return message.model_copy(update={"content": blocks})

    def _block(self, reference: Any) -> dict[str, Any]:
        sha256 = reference["sha256"]
        picture = self.get(sha256) if isinstance(sha256, str) else None
        if picture is None:
            raise UsageError(
                f"a message refers to the image {str(sha256)[:12]}..., which is not among the {len(self)} at hand; "
                "read it with read_picture and give it to Pictures"
            )
        return picture.block()


def _is_reference(block: object) -> bool:
    return isinstance(block, dict) and block.get("type") == "image" and "sha256" in block
