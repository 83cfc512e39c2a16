"""Templates: everything that is put into one is escaped, and what is unseen in it is made visible."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from wardround.dashboard.images import overlay
from wardround.dashboard.links import Links, mark_of
from wardround.dashboard.plots import probability_bar
from wardround.dashboard.showing import duration, line, percent, pretty, visible

MOST = 50_000
"""Characters of one value that a template shows, whatever the page thought of it."""


def environment() -> Environment:
    """Return the environment of the dashboard's templates."""
    made = Environment(
        loader=PackageLoader("wardround.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= FUNCTIONS
    return made


def harmless(value: Any) -> Any:
    """Return what a template may put in for a value: text without unseen characters, and not without end."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    if len(value) > MOST:
        return visible(value[:MOST]) + f" … {len(value) - MOST} characters more"
    return visible(value)


FUNCTIONS: Mapping[str, Any] = {
    "seen": line,
    "pretty": pretty,
    "percent": percent,
    "duration": duration,
    "probability_bar": probability_bar,
    "overlay": overlay,
    "mark_of": mark_of,
}
"""What the templates of a run call."""


def page_context(links: Links, page: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a template of a run is given.

    Args:
        links: Where the parts of the run are found.
        page: Name of the page, for the tabs.
        values: What the page shows.
    """
    return {**FUNCTIONS, "links": links, "page": page, **values}
