"""Images of a run: the very pixels that were sent, and the regions marked on them."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wardround.core.case import Case, ImageRef
from wardround.core.errors import WardroundError
from wardround.core.source import Source, SourceKind
from wardround.dashboard.images import Image, images_of, overlay, pixels, region_of
from wardround.trace import views

SHA = "a" * 64
IMAGE = Image(name=SHA, uri="x.png", heading="image 1", width=200, height=100)


def source(fragment: str, words: str = "a spot") -> Source:
    return Source(kind=SourceKind.IMAGE, text=words, document=f"image:{SHA}{fragment}", title="region")


@pytest.mark.parametrize(
    ("fragment", "corners"),
    [
        ("#xywh=percent:10,20,30,40", ((0.1, 0.2), (0.4, 0.2), (0.4, 0.6), (0.1, 0.6))),
        ("#xywh=20,20,60,40", ((0.1, 0.2), (0.4, 0.2), (0.4, 0.6), (0.1, 0.6))),
        ("#xywh=pixel:20,20,60,40", ((0.1, 0.2), (0.4, 0.2), (0.4, 0.6), (0.1, 0.6))),
        ("#polygon=0,0,200,0,100,100", ((0.0, 0.0), (1.0, 0.0), (0.5, 1.0))),
    ],
)
def test_a_region_is_read_from_the_name_of_its_document(fragment: str, corners: tuple[Any, ...]) -> None:
    region = region_of(source(fragment), IMAGE)
    assert region is not None
    assert [tuple(pytest.approx(v) for v in pair) for pair in corners] == list(region.corners)


@pytest.mark.parametrize(
    "fragment",
    [
        "",
        "#",
        "#xywh=percent:90,0,20,10",
        "#xywh=0,0,201,1",
        "#xywh=1,2,3",
        "#xywh=1e9,2,3,4",
        "#xywh=a,b,c,d",
        "#xywh=1.2.3,0,1,1",
        "#polygon=1,2,3,4",
        "#polygon=1,2,3,4,500,6",
        "#t=10",
        "#xywh=0,0,1,1\nmore",
    ],
)
def test_what_names_no_place_on_the_image_is_no_region(fragment: str) -> None:
    assert region_of(source(fragment), IMAGE) is None


def test_a_region_of_another_image_is_not_drawn() -> None:
    assert region_of(source("#xywh=0,0,1,1"), replace(IMAGE, name="b" * 64)) is None


def test_the_overlay_escapes_words_and_lets_one_region_stand_out() -> None:
    regions = [region_of(source(f"#xywh={n},0,10,10", "<b>&\u202e"), IMAGE) for n in (0, 50)]
    drawn = overlay(replace(IMAGE, regions=tuple(r for r in regions if r)), regions[0].source if regions[0] else None)
    assert "<b>" not in drawn
    assert "\u202e" not in drawn
    assert drawn.count("<polygon") == 2
    assert drawn.count("im-faint") == 1


def test_the_pixels_are_those_that_the_log_names(runs: dict[str, Any]) -> None:
    run = runs["image"]
    (image,) = images_of(run.events, run.case, views.evidence_graph(run.events))
    assert hashlib.sha256(pixels(run.events, run.case, image.name)).hexdigest() == image.name
    assert image.heading == "image 1: DX, CHEST"


def test_a_file_that_has_changed_is_not_shown(runs: dict[str, Any], tmp_path: Path) -> None:
    run = runs["image"]
    changed = tmp_path / "chest.png"
    original = Path(run.case.images[0].uri).read_bytes()
    from PIL import Image as Pillow

    changed.write_bytes(original)
    with Pillow.open(changed) as opened:
        turned = opened.rotate(180)
    turned.save(changed)
    case = run.case.model_copy(update={"images": (ImageRef(uri=str(changed)),)})
    name = next(e.sha256 for e in run.events if e.event == "image_read")
    with pytest.raises(WardroundError, match="changed since"):
        pixels(run.events, case, name)


@pytest.mark.parametrize("name", ["0", "2", "99999999", "c" * 64, "../x"])
def test_an_image_that_the_run_was_not_shown_is_refused(runs: dict[str, Any], name: str) -> None:
    with pytest.raises(WardroundError):
        pixels(runs["image"].events, runs["image"].case, name)


def test_images_that_no_model_looked_at_are_listed_by_number(runs: dict[str, Any]) -> None:
    run = runs["image"]
    case = Case(id="c", narrative="x", images=run.case.images)
    (image,) = images_of([], case, views.evidence_graph([]))
    assert (image.name, image.is_read) == ("1", False)
    assert pixels([], case, "1").startswith(b"\x89PNG")


def test_marked_regions_are_found_in_the_log(marked: Any) -> None:
    (image,) = images_of(marked.events, marked.case, views.evidence_graph(marked.events))
    assert [region.is_mask for region in image.regions] == [False, True]
