"""Images of a run: the very pixels that were sent, and the regions marked on them."""

import hashlib
import io
import re
import struct
import subprocess
import sys
import zlib
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from starlette.testclient import TestClient

from wardround.core.case import Case, ImageRef
from wardround.core.errors import WardroundError
from wardround.core.source import Source, SourceKind
from wardround.dashboard.exporting import export_html
from wardround.dashboard.images import Image, Region, images_of, overlay, pixels, region_of
from wardround.dashboard.masks import COLOUR, UnfitMask, coloured, kept_with, with_masks
from wardround.dashboard.pages import MOST_SWITCHED
from wardround.trace import views
from wardround.trace.store import RunStore

SHA, MARKED = "a" * 64, "run_0123456789ab"
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
        "#mask=abc",
        f"#mask={'B' * 64}",
        f"#mask={'b' * 64}/../x",
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
    assert [(region.kind, region.share) for region in image.regions] == [
        ("box", pytest.approx(0.25 * 0.33)),
        ("outline", None),
        ("mask", None),
    ]


# Masks


def mask_of(
    mode: str = "L", size: tuple[int, int] = (200, 100), box: tuple[int, int, int, int] = (20, 10, 60, 40)
) -> bytes:
    """A mask as Pillow writes it: a filled box of which the right and lower edges are not part."""
    picture = Pillow.new(mode, size)
    picture.paste({"1": 1, "L": 3, "P": 1, "RGB": (9, 0, 0), "RGBA": (0, 0, 0, 9), "I;16": 7}[mode], box)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def looked_at(data: bytes | None, *, words: str = "a spot") -> Region:
    """The region of a mask after its file was looked for."""
    region = region_of(source(f"#mask={'c' * 64}", words), IMAGE)
    assert region is not None
    (image,) = with_masks([replace(IMAGE, regions=(region,))], {"c" * 64: data}.get)
    return image.regions[0]


@pytest.mark.parametrize("mode", ["1", "L"])
def test_whatever_is_not_black_in_a_mask_lies_inside(mode: str) -> None:
    region = looked_at(mask_of(mode))
    assert region.share == pytest.approx(40 * 30 / 20000)
    assert region.corners == ((0.2, 0.1),)
    assert (region.problem, region.is_drawn) == ("", True)


def test_a_mask_that_marks_nothing_covers_nothing_and_is_not_drawn() -> None:
    region = looked_at(mask_of(box=(0, 0, 0, 0)))
    assert (region.share, region.problem, region.is_drawn) == (0.0, "", False)


def header(width: int, height: int, depth: int = 8, kind: int = 0) -> bytes:
    """A PNG file that declares a size and has no pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


UNFIT = {
    "missing": (None, "no PNG file of this name is kept"),
    "empty": (b"", "no PNG file"),
    "of words": (b"<svg onload=alert(1)>" * 9, "no PNG file"),
    "smaller": (mask_of(size=(100, 50)), "100 x 50 pixels and the image 200 x 100; it is not stretched"),
    "turned": (mask_of(size=(100, 200)), "not stretched"),
    "in colour": (mask_of("RGB"), "in colour, 8 bits"),
    "transparent": (mask_of("RGBA"), "in colour with transparency"),
    "with a palette": (mask_of("P"), "in palette"),
    "of 16 bits": (mask_of("I;16"), "in grey, 16 bits"),
    "cut off": (mask_of()[:60], "broken or cut off"),
    "without pixels": (header(200, 100), "broken or cut off"),
    "with a wrong check sum": (mask_of().replace(b"IDAT", b"IDAX"), "broken or cut off"),
    "a bomb": (header(100_000, 100_000), "100000 x 100000 pixels and the image 200 x 100"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_mask_that_does_not_fit_is_not_drawn_and_says_why(name: str) -> None:
    data, why = UNFIT[name]
    region = looked_at(data)
    assert why in region.problem
    assert not region.is_drawn
    assert "<image" not in overlay(replace(IMAGE, regions=(region,)), None, lambda mask: f"/{mask}.png")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_broken_mask_does_more_than_say_so(data: st.DataObject) -> None:
    whole = bytearray(mask_of())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    region = looked_at(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    assert bool(region.problem) != (region.share is not None)


def test_a_bomb_is_refused_by_its_header_though_the_log_says_the_image_is_as_large() -> None:
    region = region_of(source(f"#mask={'c' * 64}"), replace(IMAGE, width=100_000, height=100_000))
    assert region is not None
    image = replace(IMAGE, width=100_000, height=100_000, regions=(region,))
    (seen,) = with_masks([image], lambda name: header(100_000, 100_000))
    assert "more than 20 million" in seen.regions[0].problem
    with pytest.raises(UnfitMask, match="more than 20 million"):
        coloured(header(100_000, 100_000))


@pytest.mark.parametrize("mode", ["1", "L"])
def test_a_coloured_mask_is_clear_outside_and_opaque_at_its_edge(mode: str) -> None:
    with Pillow.open(io.BytesIO(coloured(mask_of(mode)))) as opened:
        picture = opened.convert("RGBA")
    assert picture.size == (200, 100)
    assert picture.getpixel((19, 9))[3] == picture.getpixel((60, 40))[3] == 0
    assert picture.getpixel((30, 20)) == (255, 216, 77, 115)
    assert picture.getpixel((20, 10)) == picture.getpixel((59, 39)) == (255, 216, 77, 255)


def test_regions_have_one_colour_in_pictures_and_in_the_stylesheet() -> None:
    sheet = resources.files("wardround.dashboard").joinpath("static", "wardround.css").read_text("utf-8")
    assert f"--region: #{bytes(COLOUR).hex()};" in sheet


def test_every_switch_of_a_region_has_its_rule() -> None:
    sheet = resources.files("wardround.dashboard").joinpath("static", "run.css").read_text("utf-8")
    switched = re.findall(r":has\(#region-(\d+):not\(:checked\)\) \.im-n(\d+)", sheet)
    assert switched == [(str(n), str(n)) for n in range(1, MOST_SWITCHED + 1)]


def test_a_mask_is_laid_over_its_image_wherever_it_is_shown(client: TestClient, marked: Any) -> None:
    (image,) = images_of(marked.events, marked.case, views.evidence_graph(marked.events))
    address = f"/runs/{MARKED}/mask/{image.regions[2].mask}.png"
    drawn = f'<image class="im-mask" href="{address}" width="160" height="120" preserveAspectRatio="none"/>'
    close, report = (client.get(f"/runs/{MARKED}{path}").text for path in (f"/image/{image.name}", ""))
    assert close.count(drawn) == 1
    assert report.count(drawn) == 4  # beside each of the three sources of the sentence, and among the images
    assert "mask, 6.48 % of the image" in close
    with Pillow.open(io.BytesIO(client.get(address).content)) as opened:
        assert opened.size == (160, 120)


def test_no_mask_of_another_run_and_nothing_that_is_none_is_given_out(
    client: TestClient, marked: Any, runs: dict[str, Any], workspace: Path
) -> None:
    (image,) = images_of(marked.events, marked.case, views.evidence_graph(marked.events))
    assert client.get(f"/runs/{runs['bundle'].id}/mask/{image.regions[2].mask}.png").status_code == 404
    store = RunStore(workspace)
    others = [
        store.put(b"<script>", "text/html", run=MARKED),
        store.put(b"\x89PNG <script>", "image/png", run=MARKED),
        store.put(mask_of("RGB"), "image/png", run=MARKED),
    ]
    store.close()
    for artifact in others:
        answer = client.get(f"/runs/{MARKED}/mask/{artifact.sha256}.png")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "<script>" not in answer.text


def test_a_mask_that_is_not_kept_is_told_on_the_page_and_in_the_file(runs: dict[str, Any], marked: Any) -> None:
    text = export_html(marked.events, marked.case)
    assert text.count("Region 3: its mask") == 2  # beside its source, and among the images
    assert "no PNG file of this name is kept with the run" in text
    assert '<image class="im-mask"' not in text


def test_the_exported_file_holds_its_masks(marked: Any, client: TestClient, workspace: Path) -> None:
    store = RunStore(workspace)
    text = export_html(marked.events, marked.case, fetch=kept_with(store, MARKED))
    assert text.count('<image class="im-mask" href="data:image/png;base64,') == 4
    assert "is not drawn" not in text
    assert client.get(f"/runs/{MARKED}/export").text.count('class="im-mask" href="data:image/png') == 4
    without = export_html(marked.events, marked.case, with_images=False, fetch=kept_with(store, MARKED))
    assert "data:image/png" not in without
    store.close()


def test_the_file_that_the_command_writes_holds_images_and_masks_that_are_kept(
    client: TestClient, workspace: Path, tmp_path: Path
) -> None:
    file = tmp_path / "run.html"
    command = [sys.executable, "-m", "wardround", "runs", "export", MARKED, "--workspace", str(workspace)]
    subprocess.run([*command, "--html", str(file)], check=True, capture_output=True, timeout=60)
    text = file.read_text("utf-8")
    assert text.count('<image class="im-mask" href="data:image/png;base64,') == 4
    assert "is not drawn" not in text
