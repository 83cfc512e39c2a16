import base64
import contextlib
import hashlib
import io
import logging
import os
import pickle
import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from wardround.core.case import ImageRef
from wardround.core.errors import CaseError, UsageError
from wardround.models.images import Picture, Pictures, UnfitImage, gate, read_picture

SECONDS = 2.0
"""Of processor time that no file may take."""


def texture(height: int = 48, width: int = 64, channels: int = 1) -> np.ndarray:
    pixels = np.random.default_rng(7).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return pixels[:, :, 0] if channels == 1 else pixels


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def inline(data: bytes) -> ImageRef:
    return ImageRef(uri="data:application/octet-stream;base64," + base64.b64encode(data).decode())


def read(data: bytes, **options: object) -> Picture:
    started = time.process_time()
    try:
        return read_picture(inline(data), **options)
    finally:
        assert time.process_time() - started < SECONDS


def pixels_of(picture: Picture) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture.data)))


def refusal(data: bytes) -> str:
    with pytest.raises(UnfitImage) as caught:
        read(data)
    return str(caught.value)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(width: int, height: int, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks)


# --- what is sent ---


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF"])
def test_eight_bit_grey_arrives_without_loss(kind: str) -> None:
    picture = read(encoded(Image.fromarray(texture()), kind))
    assert pixels_of(picture).tolist() == texture().tolist()
    assert (picture.width, picture.height, picture.mime_type) == (64, 48, "image/png")
    assert not picture.problems


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_colour_arrives_without_loss(kind: str) -> None:
    assert (pixels_of(read(encoded(Image.fromarray(texture(channels=3)), kind))) == texture(channels=3)).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "JPEG2000"])
def test_lossy_formats_arrive_as_they_decode(kind: str) -> None:
    data = encoded(Image.fromarray(texture(channels=3)), kind)
    assert (pixels_of(read(data)) == np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))).all()


def test_the_names_are_hashes_of_what_is_sent_and_of_the_file() -> None:
    data = encoded(Image.fromarray(texture()), "BMP")
    picture = read(data)
    assert picture.sha256 == hashlib.sha256(picture.data).hexdigest()
    assert picture.original == hashlib.sha256(data).hexdigest()


def test_the_same_pixels_in_other_files_are_the_same_picture() -> None:
    image = Image.fromarray(texture())
    assert read(encoded(image, "PNG")).sha256 == read(encoded(image, "TIFF")).sha256


def test_a_large_image_is_scaled_and_says_so() -> None:
    ramp = np.tile(np.linspace(0, 255, 3000).astype(np.uint8), (2500, 1))
    picture = read(encoded(Image.fromarray(ramp), "PNG"), max_side=512)
    assert (picture.width, picture.height) == (512, 427)
    assert picture.changes == ("scaled from 3000 x 2500",)
    assert np.abs(pixels_of(picture)[200].astype(int) - np.linspace(0, 255, 512)).max() < 2


def test_a_large_jpeg_is_scaled_to_the_same_size_as_a_png() -> None:
    image = Image.fromarray(texture(1500, 2000, 3))
    jpeg, png = read(encoded(image, "JPEG"), max_side=300), read(encoded(image, "PNG"), max_side=300)
    assert (jpeg.width, jpeg.height) == (png.width, png.height) == (300, 225)
    assert jpeg.changes == ("scaled from 2000 x 1500",)


def test_strips_leave_no_seams() -> None:
    # Several strips of a million pixels, and a height that no strip divides.
    ramp = np.linspace(0, 255, 3001).astype(np.uint8)
    picture = read(encoded(Image.fromarray(np.tile(ramp[:, None], (1, 2000))), "PNG"), max_side=4000)
    assert (pixels_of(picture) == np.tile(ramp[:, None], (1, 2000))).all()
    small = pixels_of(read(encoded(Image.fromarray(np.tile(ramp[:, None], (1, 2000))), "PNG"), max_side=200))
    assert (np.diff(small[:, 60].astype(int)) >= 0).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_mapped_by_its_full_range(kind: str) -> None:
    wide = (texture().astype(np.uint16) * 16) + 5
    wide[0, 0], wide[0, 1] = 5, 4085
    picture = read(encoded(Image.fromarray(wide), kind))
    assert picture.changes == ("16-bit grey values mapped to 8 bits, window 5 to 4085",)
    assert (pixels_of(picture) == np.rint((wide.astype(float) - 5) / 4080 * 255)).all()


def test_floating_point_grey_is_mapped_and_what_is_no_number_is_black() -> None:
    values = texture().astype(np.float32) - 100
    values[0, 0], values[3, 3], values[4, 4] = -100, np.nan, np.inf
    picture = read(encoded(Image.fromarray(values), "TIFF"))
    assert picture.changes == ("floating-point grey values mapped to 8 bits, window -100 to 155",)
    assert pixels_of(picture)[3, 3] == 0
    assert pixels_of(picture)[4, 4] == 255


def test_values_of_which_none_is_a_number_are_refused() -> None:
    assert "not one of its values" in refusal(encoded(Image.fromarray(np.full((40, 40), np.nan, np.float32)), "TIFF"))


def test_equal_sixteen_bit_values_are_black_and_called_uniform() -> None:
    picture = read(encoded(Image.fromarray(np.full((40, 40), 700, np.uint16)), "PNG"))
    assert pixels_of(picture).max() == 0
    assert any("nearly uniform" in problem for problem in picture.problems)


def test_sixteen_bit_colour_says_what_is_lost() -> None:
    rows = b"".join(b"\0" + bytes(40 * 6) for _ in range(40))
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 40, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(rows)) + png_chunk(b"IEND", b"")
    assert "16-bit channels cut to their upper 8 bits" in read(data).changes


def test_transparent_parts_are_laid_on_black() -> None:
    pixels = np.full((40, 40, 4), 200, np.uint8)
    pixels[:20, :, 3], pixels[20:, :, 3] = 0, 255
    picture = read(encoded(Image.fromarray(pixels), "PNG"))
    assert picture.changes == ("transparent parts laid on black",)
    assert pixels_of(picture)[0, 0].tolist() == [0, 0, 0]
    assert pixels_of(picture)[30, 0].tolist() == [200, 200, 200]
    half = Image.fromarray(np.full((40, 40, 2), (200, 128), np.uint8))
    assert pixels_of(read(encoded(half, "PNG")))[0, 0] == 100


def test_transparent_palettes_grey_and_cmyk_are_handled() -> None:
    palette = Image.fromarray(texture()).convert("P")
    assert read(encoded(palette, "PNG", transparency=0)).changes == ("transparent parts laid on black",)
    assert pixels_of(read(encoded(Image.fromarray(texture()).convert("LA"), "PNG"))).tolist() == texture().tolist()
    assert read(encoded(Image.fromarray(texture(channels=4), "CMYK"), "TIFF")).changes == (
        "converted from CMYK to RGB",
    )
    black_and_white = Image.fromarray(texture() > 127)
    assert set(np.unique(pixels_of(read(encoded(black_and_white, "PNG"))))) == {0, 255}


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_an_image_comes_upright(kind: str, orientation: int) -> None:
    corner = np.zeros((40, 64), np.uint8)
    corner[:20, :32] = 255
    backward = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    tag = Image.Exif()
    tag[0x0112] = backward
    from PIL import ImageOps

    turner = Image.fromarray(corner)
    turner.getexif()[0x0112] = backward
    lying = ImageOps.exif_transpose(turner)
    tag[0x0112] = orientation
    picture = read(encoded(lying, kind, exif=tag))
    assert picture.changes == ("turned as its EXIF orientation says",)
    assert (picture.width, picture.height) == (64, 40)
    assert pixels_of(picture)[5, 5] > 250
    assert pixels_of(picture)[35, 60] < 5


def test_no_metadata_of_the_file_is_sent() -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", "Erika Mustermann")
    text.add_itxt("Comment", "Erika Mustermann")
    tag = Image.Exif()
    tag[0x010E] = "Erika Mustermann"
    data = encoded(Image.fromarray(texture()), "PNG", pnginfo=text, exif=tag, dpi=(72, 72))
    assert b"Mustermann" in data
    sent = read(data)
    assert b"Mustermann" not in sent.data
    kinds, place = [], 8
    while place < len(sent.data):
        length, kind = struct.unpack(">I4s", sent.data[place : place + 8])
        kinds.append(kind)
        place += 12 + length
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}


def test_a_colour_profile_is_dropped_and_said_to_be() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = read(encoded(Image.fromarray(texture(channels=3)), "PNG", icc_profile=profile))
    assert picture.changes == ("colour profile dropped, values kept",)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "PNG", "WEBP"])
def test_further_frames_are_noted(kind: str) -> None:
    frames = [Image.fromarray(np.roll(texture(), n, axis=0)).convert("RGB") for n in range(3)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
    assert "frame 1 of 3" in read(data).changes


def test_a_picture_survives_pickling() -> None:
    picture = read(encoded(Image.fromarray(texture()), "PNG"))
    assert pickle.loads(pickle.dumps(picture)) == picture
    assert "data" not in repr(picture).replace("data:", "")


# --- references in messages ---


def test_references_become_blocks_and_nothing_else_changes() -> None:
    picture = read(encoded(Image.fromarray(texture()), "PNG"))
    text = {"type": "text", "text": "What is seen?"}
    ready = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}
    asked = HumanMessage(content=[text, picture.reference(), ready])
    shown = ToolMessage(content=[picture.reference()], tool_call_id="1")
    system = SystemMessage(content="You look at images.")
    inflated = Pictures([picture]).inflate([system, asked, shown])
    assert inflated[0] is system
    assert inflated[1].content == [text, picture.block(), ready]
    assert inflated[2].content == [picture.block()]
    assert asked.content[1] == picture.reference()
    assert base64.b64decode(picture.block()["base64"]) == picture.data


def test_a_reference_holds_no_bytes_and_no_path() -> None:
    picture = read(encoded(Image.fromarray(texture()), "PNG"))
    assert picture.reference() == {
        "type": "image",
        "sha256": picture.sha256,
        "mime_type": "image/png",
        "width": 64,
        "height": 48,
    }


@pytest.mark.parametrize("sha256", ["0" * 64, None, ["a"], 7])
def test_a_reference_to_an_image_that_is_not_held_is_an_error(sha256: object) -> None:
    with pytest.raises(UsageError, match="not among the 0 at hand"):
        Pictures().inflate([HumanMessage(content=[{"type": "image", "sha256": sha256}])])


def test_pictures_are_a_mapping() -> None:
    picture = read(encoded(Image.fromarray(texture()), "PNG"))
    pictures = Pictures([picture, picture])
    assert dict(pictures) == {picture.sha256: picture}


# --- the gate ---


@pytest.mark.parametrize(
    ("pixels", "problems"),
    [
        (texture(), []),
        (np.full((40, 40), 128, np.uint8), ["nearly uniform"]),
        (np.zeros((40, 40), np.uint8), ["nearly uniform", "very dark"]),
        (np.full((40, 40), 255, np.uint8), ["nearly uniform", "very bright"]),
        (texture(32, 300), ["long and narrow"]),
        (texture() // 30, ["very dark"]),
    ],
)
def test_the_gate_names_what_makes_an_image_hard_to_read(pixels: np.ndarray, problems: list[str]) -> None:
    found = gate(Image.fromarray(pixels))
    assert [problem.split(" (")[0] for problem in found] == problems


@pytest.mark.parametrize("size", [(31, 500), (500, 31), (1, 1)])
def test_too_few_pixels_are_refused(size: tuple[int, int]) -> None:
    assert "too few" in refusal(encoded(Image.new("L", size, 99), "PNG"))


def test_max_side_must_leave_something_to_see() -> None:
    with pytest.raises(UsageError, match="max_side"):
        read(encoded(Image.fromarray(texture()), "PNG"), max_side=31)


# --- references that name no readable image ---


@pytest.mark.parametrize("uri", ["http://pacs/1.png", "HTTPS://pacs/1.png", "ftp://x/y", "s3://x/y", "dicomweb://x"])
def test_nothing_is_fetched_from_a_network(uri: str) -> None:
    with pytest.raises(UnfitImage, match=r"not fetched.*save the image as a file"):
        read_picture(ImageRef(uri=uri))


def test_paths_and_file_uris_lead_to_the_same_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "chest é 1%.png"
    file.write_bytes(encoded(Image.fromarray(texture()), "PNG"))
    (tmp_path / "link").symlink_to(file)
    uris = [
        file.name,
        str(file),
        file.as_uri(),
        f"file://localhost{quote(str(file))}",
        f"file:{quote(str(file))}",
        "link",
    ]
    assert len({read_picture(ImageRef(uri=uri)).sha256 for uri in uris}) == 1


def test_the_content_counts_and_not_the_extension(tmp_path: Path) -> None:
    file = tmp_path / "chest.png"
    file.write_bytes(encoded(Image.fromarray(texture(channels=3)), "JPEG"))
    assert read_picture(ImageRef(uri=str(file))).mime_type == "image/png"


def test_a_folder_may_bound_where_images_are_read_from(tmp_path: Path) -> None:
    inside = tmp_path / "case"
    inside.mkdir()
    data = encoded(Image.fromarray(texture()), "PNG")
    (inside / "a.png").write_bytes(data)
    (tmp_path / "b.png").write_bytes(data)
    (inside / "link.png").symlink_to(tmp_path / "b.png")
    for uri in ("a.png", str(inside / "a.png"), "link.png", "../case/a.png"):
        read_picture(ImageRef(uri=uri), within=inside)
    for uri in ("../b.png", str(tmp_path / "b.png"), f"file://{tmp_path}/b.png", "/etc/hostname"):
        with pytest.raises(UnfitImage, match="outside"):
            read_picture(ImageRef(uri=uri), within=inside)


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(600_000_000)
    expected = {
        "none.png": "No such file",
        "": "folder",
        "pipe": "device, a pipe",
        "/dev/zero": "device, a pipe",
        "empty": "the file is empty",
        "empty/a.png": "Not a directory",
        "loop": "levels of symbolic links",
        "huge": "600 MB is more than",
        "x" * 300: "name too long",
        "a\0b": "characters that no path has",
        "a\ud800b": "characters that no path has",
    }
    for name, words in expected.items():
        with pytest.raises(UnfitImage, match=words):
            read_picture(ImageRef.model_construct(uri=str(tmp_path / name)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_told(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"x")
    file.chmod(0)
    with pytest.raises(UnfitImage, match="Permission denied"):
        read_picture(ImageRef(uri=str(file)))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("", "names no file"),
        ("file:", "names no file"),
        ("file://server/share/a.png", "another machine"),
        ("data:image/png;base64", "no comma"),
        ("data:image/png;base64,", "no data"),
        ("data:image/png;base64,%%%", "not base64"),
        ("data:image/png;base64,AAA", "not base64"),
        ("data:,hello", "no image"),
        ("data:image/png;base64," + "A" * 32_000_000, "million characters"),
    ],
)
def test_uris_that_hold_nothing_are_refused(uri: str, words: str) -> None:
    with pytest.raises(UnfitImage, match=words):
        read_picture(ImageRef(uri=uri))


def test_data_uris_may_be_percent_encoded_and_broken_into_lines() -> None:
    data = encoded(Image.fromarray(texture()), "PNG")
    text = base64.encodebytes(data).decode()
    for uri in (
        f"data:image/png;base64,{text}",
        f"DATA:;base64,{quote(text, safe='')}",
        f"data:image/png,{quote(data)}",
    ):
        picture = read_picture(ImageRef(uri=uri))
        assert picture.original == hashlib.sha256(data).hexdigest()
        assert len(picture.uri) < 80


def test_messages_hold_no_control_characters() -> None:
    with pytest.raises(UnfitImage) as caught:
        read_picture(ImageRef(uri="\x1b[31mred\n.png"))
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, CaseError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


# --- hostile files ---

SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="99" height="99"/>'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0" * 1000, "no image"),
        (b"\xef\xbb\xbfThis is a report.", "no image"),
        (SVG, "SVG"),
        (b"\xef\xbb\xbf" + SVG, "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "PostScript"),
        (b"\x1f\x8b\x08" + b"\0" * 99, "archive"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 99, "HEIF"),
        (b"\x5c\x01\0\0" + b"\0" * 340 + b"n+1\0" + b"\0" * 99, "NIfTI"),
        (b"P6\n99 99\n255\n" + b"\0" * 30_000, "no image"),
    ],
)
def test_what_is_not_an_image_is_named(data: bytes, words: str) -> None:
    assert words in refusal(data)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM", b"GIF89a", b"\0" * 128 + b"DICM"]
    ),
    st.binary(max_size=600),
)
def test_random_bytes_are_refused_in_words(beginning: bytes, rest: bytes) -> None:
    with pytest.raises(UnfitImage):
        read(beginning + rest + b"\0")


REAL = {
    kind: encoded(Image.fromarray(texture(120, 160, 3)), kind)
    for kind in ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000")
}
REAL["TIFF, LZW"] = encoded(Image.fromarray(texture(120, 160, 3)), "TIFF", compression="tiff_lzw")
REAL["JPEG, progressive"] = encoded(Image.fromarray(texture(120, 160, 3)), "JPEG", progressive=True)


@pytest.mark.parametrize("tenths", range(10))
@pytest.mark.parametrize("kind", REAL)
def test_a_file_that_is_cut_off_is_refused(kind: str, tenths: int) -> None:
    with pytest.raises(UnfitImage):
        read_picture(inline(REAL[kind][: len(REAL[kind]) * tenths // 10]))


def test_a_file_that_is_cut_off_is_refused_whatever_other_code_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert "cut off" in refusal(REAL["JPEG"][: len(REAL["JPEG"]) // 2])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
    assert "more than the 80 million" in refusal(png_file(60_000, 60_000, png_chunk(b"IDAT", b"")))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(REAL)), st.randoms(use_true_random=False))
def test_bytes_changed_at_random_never_raise_anything_else(kind: str, chance: random.Random) -> None:
    data = bytearray(REAL[kind])
    reach = chance.choice((64, 600, len(data)))
    for _ in range(chance.randint(1, 12)):
        data[chance.randrange(min(reach, len(data)))] = chance.randrange(256)
    with contextlib.suppress(UnfitImage):
        assert read(bytes(data)).sha256


@pytest.mark.parametrize("side", [9_000, 12_000, 60_000, 2**31 - 1])
def test_a_png_that_declares_too_many_pixels_is_refused_before_it_is_decoded(side: int) -> None:
    assert "pixels" in refusal(png_file(side, side, png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))))


def test_text_that_unfolds_is_refused() -> None:
    bomb = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(b"\0" * 50_000_000))
    refusal(png_file(64, 64, bomb, png_chunk(b"IDAT", zlib.compress(b"\0" * 65 * 64)), png_chunk(b"IEND", b"")))


def test_metadata_without_end_is_refused() -> None:
    text = png_chunk(b"tEXt", b"a\0" + b"b" * 20_000_000)
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0" * 65 * 64))
    assert "more reading" in refusal(png_file(64, 64, text, pixels, png_chunk(b"IEND", b"")))
    assert "more reading" in refusal(png_file(64, 64, png_chunk(b"tEXt", b"a\0b") * 20_000, pixels))
    assert "more reading" in refusal(png_file(64, 64, pixels, png_chunk(b"abCd", b"") * 200_000, pixels))


def test_exif_parts_are_not_joined_without_end() -> None:
    part = b"\xff\xe1" + struct.pack(">H", 60_008) + b"Exif\0\0" + b"MM\0*" + b"\0" * 59_996
    plain = REAL["JPEG"]
    assert "more reading" in refusal(plain[:2] + part * 50 + plain[2:])


def test_overlapping_tiff_values_are_refused() -> None:
    # Each of 4000 tags names the same 400 kB.
    count, length = 4000, 400_000
    tags = b"".join(struct.pack("<HHII", 40_000 + n, 7, length, 0) for n in range(count))
    data = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", count) + tags + b"\0" * 4 + b"\0" * length
    refusal(data)


def test_odd_tiff_tags_do_no_harm() -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[65_000], tags[305], tags[0x0112] = "odd", "x" * 5000, 99
    assert not read(encoded(Image.fromarray(texture()), "TIFF", tiffinfo=tags)).changes


def test_a_gif_of_a_thousand_frames_is_read_by_its_first() -> None:
    frames = [Image.fromarray(np.roll(texture(32, 32), n, axis=0)) for n in range(1000)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    picture = read(data)
    assert picture.changes in (("frame 1 of 1000",), ("frame 1, others not looked for",))
    assert (np.asarray(Image.open(io.BytesIO(picture.data)).convert("L")) == texture(32, 32)).all()


def test_frames_that_take_too_long_to_count_leave_the_first_as_it_is() -> None:
    frames = [Image.fromarray(np.roll(texture(320, 320), n, axis=0)) for n in range(40)]
    picture = read(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert "frame 1, others not looked for" in picture.changes
    assert (pixels_of(picture) == texture(320, 320)).all()


def test_a_gif_comment_without_end_is_refused() -> None:
    data = REAL["GIF"]
    at = 13 + 3 * 2 ** ((data[10] & 7) + 1)
    comment = b"\x21\xfe" + (b"\xff" + b"c" * 255) * 60_000 + b"\0"
    assert "more reading" in refusal(data[:at] + comment + data[at:])


def test_a_progressive_jpeg_of_many_scans_is_refused() -> None:
    image = encoded(Image.new("L", (5000, 5000)), "JPEG", progressive=True)
    last = image.rindex(b"\xff\xda")
    assert "scans" in refusal(image[:-2] + image[last:-2] * 500 + image[-2:])


def test_run_length_coded_bmp_is_refused() -> None:
    palette = bytes(1024)
    header = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 54 + 1024)
    info = struct.pack("<IiiHHIIiiII", 40, 8000, 8000, 1, 8, 1, 0, 0, 0, 256, 0)
    assert "run-length" in refusal(header + info + palette + b"\x01\x07" * 100)


def test_decoders_that_copy_are_given_fewer_pixels() -> None:
    data = encoded(Image.new("RGB", (6000, 6000)), "WEBP", method=0)
    assert "too many for WEBP" in refusal(data)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from /proc")
def test_the_largest_image_stays_within_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    rows = zlib.compressobj(1)
    packed = b"".join(rows.compress(b"\0" * (8900 * 4 + 1)) for _ in range(8900)) + rows.flush()
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", 8900, 8900, 8, 6, 0, 0, 0))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b""))
    code = """
import sys
from wardround.core.case import ImageRef
from wardround.models.images import read_picture
print(read_picture(ImageRef(uri=sys.argv[1])).width)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=True)
    width, kilobytes = map(int, done.stdout.split())
    assert width == 1024
    assert kilobytes < 500_000


def test_the_package_is_imported_without_pillow() -> None:
    code = "import sys, wardround.models.images\nprint([m for m in ('PIL', 'pydicom', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- DICOM ---


def dicom(pixels: np.ndarray, syntax: str = "1.2.840.10008.1.2.1", **header: object) -> bytes:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = UID(syntax)
    file.file_meta.MediaStorageSOPClassUID, file.file_meta.MediaStorageSOPInstanceUID = "1.2.3", "1.2.3.4"
    file.SOPClassUID, file.SOPInstanceUID = "1.2.3", "1.2.3.4"
    file.PatientName, file.PatientID = "Mustermann^Erika", "4711-0815"
    colour = pixels.shape[-1] == 3
    file.Rows, file.Columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
    file.SamplesPerPixel = 3 if colour else 1
    file.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        file.PlanarConfiguration = 0
    file.BitsAllocated = file.BitsStored = pixels.dtype.itemsize * 8
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = int(pixels.dtype.kind == "i")
    for name, value in header.items():
        setattr(file, name, value)
    file.PixelData = pixels.tobytes()
    out = io.BytesIO()
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()


HOUNSFIELD = np.linspace(0, 3000, 64 * 48).reshape(48, 64).astype(np.uint16)


def test_the_window_of_a_dicom_file_is_applied_after_its_rescaling() -> None:
    # PS3.3, section C.11.2.1.2.1: centre 40 and width 401 reach from -160.5 to 239.5.
    picture = read(
        dicom(HOUNSFIELD, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=[40, 300], WindowWidth=[401, 1500])
    )
    expected = ((HOUNSFIELD.astype(float) - 1024 + 160.5) / 400).clip(0, 1) * 255
    assert np.abs(pixels_of(picture) - expected).max() <= 0.51
    assert picture.changes == ("grey values windowed to 8 bits, centre 40, width 401, as the file says",)


@pytest.mark.parametrize(
    ("form", "share"),
    [
        ("LINEAR_EXACT", lambda x: ((x - 1000) / 800 + 0.5).clip(0, 1)),
        ("SIGMOID", lambda x: 1 / (1 + np.exp(-4 * (x - 1000) / 800))),
    ],
)
def test_other_forms_of_windows_are_applied(form: str, share: object) -> None:
    picture = read(dicom(HOUNSFIELD, WindowCenter=1000, WindowWidth=800, VOILUTFunction=form))
    assert np.abs(pixels_of(picture) - share(HOUNSFIELD.astype(float)) * 255).max() <= 0.51


def test_without_a_window_the_full_range_is_shown_but_for_the_padding() -> None:
    values = HOUNSFIELD.astype(np.int16)
    values[0, :8] = -2000
    picture = read(dicom(values, PixelPaddingValue=-2000))
    low = int(values[values != -2000].min())
    assert picture.changes == (f"grey values mapped to 8 bits, window {low} to 3000, since the file names none",)


@pytest.mark.parametrize(("centre", "width"), [("", ""), (40, 0), (40, -5)])
def test_a_window_that_is_none_is_not_applied(centre: object, width: object) -> None:
    assert "since the file names none" in read(dicom(HOUNSFIELD, WindowCenter=centre, WindowWidth=width)).changes[0]


def test_eight_bits_without_a_window_are_not_stretched() -> None:
    picture = read(dicom(texture() // 2))
    assert (pixels_of(picture) == texture() // 2).all()


def test_low_values_that_are_white_are_inverted() -> None:
    picture = read(dicom(texture(), PhotometricInterpretation="MONOCHROME1"))
    assert (pixels_of(picture) == 255 - texture()).all()
    assert "inverted, since low values are white" in picture.changes


def test_a_table_of_values_of_interest_is_applied() -> None:
    from pydicom.dataset import Dataset

    table = Dataset()
    table.LUTDescriptor, table.LUTData = [256, 0, 8], [255 - n for n in range(256)]
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "US"
    picture = read(dicom(texture(), VOILUTSequence=[table]))
    assert (pixels_of(picture) == 255 - texture()).all()


def test_the_middle_of_several_frames_is_shown() -> None:
    frames = np.stack([np.roll(texture(), n, axis=1) for n in range(5)])
    picture = read(dicom(frames, NumberOfFrames=5))
    assert (pixels_of(picture) == frames[2]).all()
    assert picture.changes[0] == "frame 3 of 5"


def test_colour_of_a_dicom_file_arrives_without_loss() -> None:
    assert (pixels_of(read(dicom(texture(channels=3)))) == texture(channels=3)).all()


@contextlib.contextmanager
def listening() -> Iterator[list[logging.LogRecord]]:
    """All that is logged meanwhile, down to what is only for debugging."""
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield heard
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def test_metadata_is_not_logged() -> None:
    tag = Image.Exif()
    tag[0x010E] = "Erika Mustermann"
    image = Image.fromarray(texture())
    files = [encoded(image, "TIFF", exif=tag), encoded(image, "JPEG", exif=tag), encoded(image, "PNG", exif=tag)]
    files.append(dicom(texture()).replace(b"1.2.3.4", b"1.x.3.4"))
    with listening() as logged:
        for data in files:
            read(data)
    assert not [record for record in logged if record.name.startswith(("PIL", "pydicom"))]


def test_only_four_facts_of_a_dicom_header_are_let_out() -> None:
    data = dicom(
        texture(), Modality="DX", BodyPartExamined="CHEST", ImageLaterality="R", ViewPosition="PA", StudyDate="20200101"
    )
    picture = read(data)
    assert picture.facts == {"Modality": "DX", "BodyPartExamined": "CHEST", "Laterality": "R", "ViewPosition": "PA"}
    told = repr(picture).encode() + picture.data
    assert b"Mustermann" not in told
    assert b"4711" not in told
    assert b"20200101" not in told


@pytest.mark.filterwarnings("ignore")
def test_a_fact_that_is_no_code_is_kept_in() -> None:
    assert read(dicom(texture(), Modality="DX", BodyPartExamined="chest of E. Mustermann")).facts == {"Modality": "DX"}


def test_what_may_mislead_about_a_dicom_image_is_told() -> None:
    picture = read(dicom(texture(), BurnedInAnnotation="YES", PixelSpacing=[0.5, 1.0]))
    assert [problem.split(",")[0] for problem in picture.problems] == [
        "text is burned into the pixels",
        "its pixels are not square",
    ]


@pytest.mark.parametrize(
    ("syntax", "words"),
    [
        ("1.2.840.10008.1.2.4.80", "no decoder for JPEG-LS Lossless"),
        ("1.2.840.10008.1.2.1.99", "deflated"),
        ("1.2.3.4.5", "transfer syntax"),
    ],
)
def test_a_coding_that_cannot_be_decoded_is_named(syntax: str, words: str) -> None:
    data = dicom(texture())
    short, long = b"1.2.840.10008.1.2.1\0", syntax.encode().ljust(len(syntax) + len(syntax) % 2, b"\0")
    data = data.replace(struct.pack("<H", len(short)) + short, struct.pack("<H", len(long)) + long, 1)
    message = refusal(data)
    assert words in message
    assert "PNG" in message


def test_a_dicom_file_without_pixels_or_with_too_many_is_refused() -> None:
    assert "without an image" in refusal(dicom(texture(), Rows=0))
    assert "million" in refusal(dicom(texture(), Rows=60_000, Columns=60_000))
    assert "cut off" in refusal(dicom(texture(), Rows=3000))
    assert "cut off" in refusal(dicom(texture(), NumberOfFrames=10**6))


@pytest.mark.parametrize("tenths", range(10))
def test_a_dicom_file_that_is_cut_off_is_refused(tenths: int) -> None:
    data = dicom(HOUNSFIELD)
    message = refusal(data[: len(data) * tenths // 10] or b"\0")
    assert "Mustermann" not in message


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_changed_dicom_files_never_raise_anything_else_and_tell_no_name(chance: random.Random) -> None:
    with listening() as logged:
        told = told_of_changed_dicom(chance)
    assert "Mustermann" not in told
    assert not [record for record in logged if record.name.startswith(("PIL", "pydicom"))]


def told_of_changed_dicom(chance: random.Random) -> str:
    data = bytearray(dicom(HOUNSFIELD, WindowCenter=1000, WindowWidth=800, RescaleSlope=1, RescaleIntercept=0))
    for _ in range(chance.randint(1, 8)):
        data[132 + chance.randrange(600)] = chance.randrange(256)
    try:
        return repr(read(bytes(data)))
    except UnfitImage as error:
        return repr(error) + repr(error.__cause__)


def test_the_sequences_of_a_dicom_header_may_not_nest_without_end() -> None:
    head = dicom(texture())
    start = head.index(b"\x08\x00\x16\x00")
    item = b"\x08\x00\x06\x00SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    refusal(head[:start] + item * 5000 + head[start:])
