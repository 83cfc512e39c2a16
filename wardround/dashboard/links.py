"""Where the parts of a run are found: pages of the dashboard, or places in one file that holds all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, urlencode

from wardround.core.evidence.drawing import element_id

PAGES = ("report", "evidence", "course", "record")
"""The pages of a run, in the order of its tabs."""


def mark_of(name: str) -> str:
    """Return the name of a node, or a document, as it stands in an address: a hash, which tells nothing."""
    return element_id(name)


class Links(Protocol):
    """Answers where something of a run is; nothing where it cannot be had."""

    @property
    def is_file(self) -> bool:
        """Whether all of the run stands in one file."""
        ...

    def page(self, name: str) -> str:
        """Return where a page is, one of `PAGES`."""
        ...

    def whole(self, path: str | None) -> str | None:
        """Return where all of a text is that is shown in part."""
        ...

    def image(self, name: str) -> str | None:
        """Return where the pixels of an image are."""
        ...

    def mask(self, name: str) -> str | None:
        """Return where the coloured picture of a mask is."""
        ...

    def image_page(self, name: str, source: str | None = None) -> str | None:
        """Return where an image can be looked at closely, and a region of it."""
        ...

    def call(self, seq: int) -> str:
        """Return where a question to a model stands with all that was sent."""
        ...

    def evidence(self, *, mark: str | None = None, without: Sequence[str] = ()) -> str | None:
        """Return where the evidence graph is, something in it highlighted or switched off."""
        ...

    def static(self, name: str) -> str:
        """Return where a stylesheet or script is."""
        ...


@dataclass(frozen=True)
class RunLinks:
    """Addresses of the dashboard's pages; they hold ids and nothing of what a run says."""

    run: str
    is_file: bool = False

    def page(self, name: str) -> str:
        """Return the path of a page."""
        return f"/runs/{quote(self.run)}{'' if name == 'report' else '/' + name}"

    def whole(self, path: str | None) -> str | None:
        """Return the path under which all of a text is sent as a file."""
        return f"/runs/{quote(self.run)}/{path}" if path else None

    def image(self, name: str) -> str | None:
        """Return the path of an image's pixels."""
        return f"/runs/{quote(self.run)}/image/{quote(name)}.png"

    def mask(self, name: str) -> str | None:
        """Return the path of a mask's coloured picture."""
        return f"/runs/{quote(self.run)}/mask/{quote(name)}.png"

    def image_page(self, name: str, source: str | None = None) -> str | None:
        """Return the path of the page on which an image can be looked at."""
        return f"/runs/{quote(self.run)}/image/{quote(name)}" + (f"?{urlencode({'source': source})}" if source else "")

    def call(self, seq: int) -> str:
        """Return the path of the page that shows a question to a model."""
        return f"/runs/{quote(self.run)}/call/{seq}"

    def evidence(self, *, mark: str | None = None, without: Sequence[str] = ()) -> str | None:
        """Return the path of the evidence graph."""
        query = [*((("highlight", mark),) if mark else ()), *(("without", name) for name in without)]
        return self.page("evidence") + (f"?{urlencode(query)}" if query else "")

    def static(self, name: str) -> str:
        """Return the path of a stylesheet or script."""
        return f"/static/{name}"


@dataclass(frozen=True)
class FileLinks:
    """Places in one file; what is not in it has none."""

    images: Mapping[str, str] = field(default_factory=dict)
    """`data:` URI by name of the image."""
    masks: Mapping[str, str] = field(default_factory=dict)
    """`data:` URI of its coloured picture by name of the mask."""
    is_file: bool = True

    def page(self, name: str) -> str:
        """Return the part of the file that a page has become."""
        return f"#{name}"

    def whole(self, path: str | None) -> str | None:
        """Return nothing: what is cut in the file is not in it."""
        return None

    def image(self, name: str) -> str | None:
        """Return the pixels of an image themselves."""
        return self.images.get(name)

    def mask(self, name: str) -> str | None:
        """Return the coloured picture of a mask itself."""
        return self.masks.get(name)

    def image_page(self, name: str, source: str | None = None) -> str | None:
        """Return nothing: the image stands where it is cited."""
        return None

    def call(self, seq: int) -> str:
        """Return the place of a question to a model."""
        return f"#call-{seq}"

    def evidence(self, *, mark: str | None = None, without: Sequence[str] = ()) -> str | None:
        """Return the part of the file with the evidence graph, as the run has it."""
        return None if without else "#evidence"

    def static(self, name: str) -> str:
        """Return nothing to load: all of it stands in the file."""
        return ""
