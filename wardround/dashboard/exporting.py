"""One run as one HTML file that loads nothing: for a mail, a paper or an archive.

Style and script stand in the file, and its own content security policy allows these two by their hash and nothing
else, so that what others wrote stays as inert as on the dashboard.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from wardround.core.case import Case
from wardround.core.errors import WardroundError
from wardround.dashboard.course import course_page, passes_of, span_kinds
from wardround.dashboard.evidence import evidence_page
from wardround.dashboard.heading import head_of
from wardround.dashboard.images import Image, images_of, pixels
from wardround.dashboard.links import FileLinks
from wardround.dashboard.masks import Fetch, coloured, with_masks
from wardround.dashboard.record import record_page
from wardround.dashboard.rendering import environment, page_context
from wardround.dashboard.report import report_page
from wardround.trace import views
from wardround.trace.events import Event

STYLES = ("wardround.css", "run.css")
SCRIPTS = ("run.js",)


def export_html(
    events: Sequence[Event], case: Case, *, with_images: bool = True, fetch: Fetch = lambda name: None
) -> str:
    """Return a run as one HTML document that needs no other file and no network.

    Args:
        events: The run's log.
        case: The patient or the task; all that the pages show of it will be in the file.
        with_images: Whether the pixels of its images go into the file; without them their place is kept.
        fetch: Returns what is kept with the run, as `wardround.dashboard.masks.kept_with` does; without it images are
            read from their own files, and masks, which have none, are not drawn.
    """
    made = environment()
    images = with_masks(images_of(events, case, views.evidence_graph(events)), fetch)
    links = _embedded(events, case, images, fetch) if with_images else FileLinks()
    head = {"head": head_of(events, case)}
    parts = {
        name: Markup(made.get_template(f"run_{name}_body.html").render(page_context(links, name, {**head, **values})))
        for name, values in _parts(events, case, images).items()
    }
    style, script = _static(STYLES), _static(SCRIPTS)
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    context = page_context(links, "file", {**head, "parts": parts})
    context |= {"style": Markup(style), "script": Markup(script), "policy": Markup(policy)}
    return made.get_template("run_export.html").render(context)


def _parts(events: Sequence[Event], case: Case, images: Sequence[Image]) -> dict[str, dict[str, Any]]:
    course = course_page(events, case)
    more = {"kinds": span_kinds(), "shown_ids": {span.id for span in course["spans"]}, "passes": passes_of(events)}
    return {
        "report": {**report_page(events, case), "images": images},
        "evidence": {**evidence_page(events, case), "without_marks": [], "without_ids": []},
        "course": course | more,
        "record": record_page(events, case),
    }


def _embedded(events: Sequence[Event], case: Case, images: Sequence[Image], fetch: Fetch) -> FileLinks:
    """Images and masks as `data:` URIs; an image that cannot be read any more is left out, and the page says so."""
    found, masks = {}, {}
    for image in images:
        data = fetch(image.name)
        try:
            found[image.name] = _uri(data if data is not None else pixels(events, case, image.name))
        except WardroundError:
            continue
        for name in {region.mask for region in image.regions if region.mask is not None and region.is_drawn}:
            mask = fetch(name)
            if mask is not None:
                masks[name] = _uri(coloured(mask))
    return FileLinks(images=found, masks=masks)


def _uri(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"


@cache
def _static(names: tuple[str, ...]) -> str:
    """The text of files that come with the package; a stylesheet or script never holds its own end tag."""
    folder = resources.files("wardround.dashboard").joinpath("static")
    there = [folder.joinpath(name) for name in names]
    return "\n" + "\n".join(path.read_text("utf-8") for path in there if path.is_file()) + "\n"


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"
