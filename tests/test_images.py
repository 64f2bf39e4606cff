"""Image files as cameras, phones, editors and broken transfers leave them: what is read of them."""

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from contextlib import suppress

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

from mstar.errors import UserError
from mstar.io import decoding
from mstar.io.decoding import UnreadableImage
from mstar.io.images import SUFFIXES, as_rgb, frame_of, is_image_file, open_image, why_unopened

BAR = np.full((8, 16), 255, np.uint8)  # left half black, right half white
BAR[:, :8] = 0


def sides(path) -> tuple[int, int]:
    """Grey of the left and of the right edge."""
    grey = np.array(open_image(path).convert("L"))
    return int(grey[:, 0].mean()), int(grey[:, -1].mean())


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def noise(height=90, width=120) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(autouse=True)
def nothing_of_pillows_is_left_changed():
    def state():
        return (
            Image.MAX_IMAGE_PIXELS,
            ImageFile.LOAD_TRUNCATED_IMAGES,
            PngImagePlugin.MAX_TEXT_CHUNK,
            PngImagePlugin.MAX_TEXT_MEMORY,
        )

    before = state()
    yield
    assert state() == before


def test_no_torch_is_loaded():
    code = "import sys, mstar.io.images; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Deep grey


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_grey_of_16_bits_shows_its_high_byte(tmp_path, kind):
    deep = Image.fromarray(BAR.astype(np.uint16) * 200 + 3000)
    options = {"irreversible": False} if kind == "JPEG2000" else {}
    (tmp_path / "a").write_bytes(encoded(deep, kind, **options))
    assert sides(tmp_path / "a") == (11, 210)


def tiff(values: np.ndarray, order: str, bits: int, kind: int = 1, photometric: int = 1) -> bytes:
    """A TIFF of one strip, as others write it: photometric 0 = white is zero."""
    height, width = values.shape
    data = values.tobytes()
    tags = [(256, width), (257, height), (258, bits), (259, 1), (262, photometric)]
    tags += [(273, 8 + 2 + 10 * 12 + 4), (277, 1), (278, height), (279, len(data)), (339, kind)]
    entries = b"".join(struct.pack(order + "HHLL", tag, 4, 1, value) for tag, value in tags)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "L", 8)
    return head + struct.pack(order + "H", len(tags)) + entries + bytes(4) + data


@pytest.mark.parametrize("order", "<>")
def test_tiff_of_both_byte_orders(tmp_path, order):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff((BAR.astype(np.uint16) * 200 + 3000).astype(order + "u2"), order, 16))
    assert sides(path) == (11, 210)
    path.write_bytes(tiff((BAR / 255).astype(order + "f4"), order, 32, 3))
    assert sides(path) == (0, 255)


def test_where_white_is_zero(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(BAR.astype("<u2") * 257, "<", 16, photometric=0))
    assert sides(path) == (255, 0)
    path.write_bytes(tiff((BAR / 255).astype("<f4"), "<", 32, 3, photometric=0))
    assert sides(path) == (255, 0)


def test_twelve_bits_are_not_taken_for_sixteen(tmp_path):
    whole = bytes([0, 0, 0]) * 4 + bytes([255, 255, 255]) * 4  # two pixels in three bytes
    content = tiff(np.frombuffer(whole * 8, np.uint8).reshape(8, 24), "<", 12)
    width = struct.pack("<HHLL", 256, 4, 1, 24)
    (tmp_path / "a.tif").write_bytes(content.replace(width, struct.pack("<HHLL", 256, 4, 1, 16)))
    assert sides(tmp_path / "a.tif") == (0, 255)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (BAR.astype(np.int32) * 100_000 - 7, "from -7 to "),
        (BAR.astype(np.int32) - 300, "from -300 to -45"),
        (BAR.astype(np.float32) * 3 - 5, "from -5 to 760"),
        (BAR.astype(np.float32) / 100, "from 0 to 2.55"),
    ],
)
def test_other_numbers_are_scaled_by_their_own_range(tmp_path, values, said):
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.warns(UserWarning, match=rf"a\.tif has numbers {said}"):
        assert sides(tmp_path / "a.tif") == (0, 255)


def test_numbers_without_a_sign_do_not_wrap(tmp_path):
    (tmp_path / "a.tif").write_bytes(tiff(BAR.astype("<u4") * 2**24, "<", 32))
    with pytest.warns(UserWarning, match=r"from 0 to 4\.27819e\+09"):
        assert sides(tmp_path / "a.tif") == (0, 255)


def test_numbers_that_are_none_are_black(tmp_path):
    values = (BAR / 255).astype(np.float32)
    values[0, 3] = np.nan
    Image.fromarray(values).save(tmp_path / "a.tif")
    assert sides(tmp_path / "a.tif") == (0, 255)
    assert open_image(tmp_path / "a.tif").getpixel((3, 0)) == (0, 0, 0)
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "b.tif")
    open_image(tmp_path / "b.tif")


# Transparency


def transparent(kind: str) -> Image.Image:
    """Black where it is opaque (left), and black, but transparent, elsewhere."""
    alpha, nothing = Image.fromarray(255 - BAR), Image.new("L", (16, 8))
    if kind == "LA":
        return Image.merge("LA", [nothing, alpha])
    return Image.merge("RGBA", [nothing] * 3 + [alpha])


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA"), ("TIFF", "RGBA"), ("TIFF", "LA"),
     ("AVIF", "RGBA"), ("TGA", "RGBA"), ("JPEG2000", "RGBA")],
)  # fmt: skip
def test_what_is_transparent_stands_on_white(tmp_path, kind, mode):
    options = {"lossless": True} if kind == "WEBP" else {}
    (tmp_path / "a.tga").write_bytes(encoded(transparent(mode), kind, **options))
    assert np.allclose(sides(tmp_path / "a.tga"), (0, 255), atol=1)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_in_a_png_is_exactly_white(tmp_path, mode):
    transparent(mode).save(tmp_path / "a.png")
    assert sides(tmp_path / "a.png") == (0, 255)


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_a_transparent_entry_of_a_palette(tmp_path, kind):
    picture = Image.fromarray((BAR < 128).astype(np.uint8)).convert("P")
    picture.putpalette([0] * 768)
    (tmp_path / "a").write_bytes(encoded(picture, kind, transparency=0))
    assert sides(tmp_path / "a") == (0, 255)
    picture.info["transparency"] = bytes([0, 255])
    (tmp_path / "a").write_bytes(encoded(picture, "PNG"))
    assert sides(tmp_path / "a") == (0, 255)


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def png(rows: list[bytes], width: int, depth: int, colour: int, *between: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(between) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("depth", "colour", "row", "clear", "right"),
    [
        (1, 0, b"\x0f", (0,), (255, 255)),  # 4 × 0, 4 × 1; nothing is clear where white is white
        (2, 0, b"\x55\x00", (0,), (85, 255)),
        (2, 0, b"\x00\x55", (1,), (0, 255)),
        (4, 0, b"\x11" * 2 + b"\x77" * 2, (7,), (17, 255)),
        (8, 0, b"\x10" * 4 + b"\x20" * 4, (32,), (16, 255)),
        (16, 0, b"\x10\x00" * 4 + b"\x20\x01" * 4, (0x2001,), (16, 255)),
        (16, 0, b"\x10\x00" * 4 + b"\x20\x01" * 4, (0x2000,), (16, 32)),
        (8, 2, b"\x0a\x0a\x0a" * 4 + b"\0\0\0" * 4, (0, 0, 0), (10, 255)),
        (16, 2, b"\x0a\x00" * 12 + b"\x20\x01" * 12, (0x2001,) * 3, (10, 255)),
    ],
)
def test_a_transparent_entry_without_a_palette(tmp_path, depth, colour, row, clear, right):
    entry = chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    (tmp_path / "a.png").write_bytes(png([row] * 4, 8, depth, colour, entry))
    assert sides(tmp_path / "a.png") == right


def test_pictures_that_are_open_already():
    assert np.array(as_rgb(transparent("RGBA")))[0, [0, -1]].tolist() == [[0] * 3, [255] * 3]
    deep = Image.fromarray(BAR.astype(np.uint16) * 200 + 3000)
    assert np.array(as_rgb(deep))[0, [0, -1], 0].tolist() == [11, 210]
    plain = noise()
    assert as_rgb(plain) is plain


# Metadata that is broken although the pixels are whole


BROKEN_CHUNKS = {
    "eXIf that is no TIFF": (b"eXIf", b"nonsense"),
    "eXIf that is cut": (b"eXIf", b"MM\0*\0\0\0\x08\0\xff"),
    "profile that is no hex": (
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 8\nzzzz")),
    "profile that is not packed": (b"zTXt", b"Raw profile type exif\0\0nonsense"),
    "comment of 1.5 MB": (b"zTXt", b"Comment\0\0" + zlib.compress(b"A" * 1572864)),
    "text of 1.5 MB": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"A" * 1572864)),
    "colour profile of 1.5 MB": (b"iCCP", b"x\0\0" + zlib.compress(b"A" * 1572864)),
    "sizes that are none": (b"pHYs", b"1"),
    "transparency that is short": (b"tRNS", b"\0"),
    "frames that are none": (b"fcTL", b"12"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
def test_a_broken_chunk_beside_the_pixels_of_a_png(tmp_path, name):
    content, path = encoded(Image.fromarray(BAR), "PNG"), tmp_path / "m.png"
    extra = chunk(*BROKEN_CHUNKS[name])
    path.write_bytes(content[:33] + extra + content[33:])
    assert sides(path) == (0, 255)
    path.write_bytes(content[:-12] + extra + content[-12:])
    assert sides(path) == (0, 255)


def test_a_wrong_checksum_beside_the_pixels(tmp_path):
    content, path = encoded(Image.fromarray(BAR), "PNG"), tmp_path / "m.png"
    for kind in (b"tEXt", b"gAMA", b"tIME", b"tRNS", b"eXIf"):
        wrong = chunk(kind, b"\0\0\0\0")[:-1] + b"?"
        path.write_bytes(content[:33] + wrong + content[33:])
        assert sides(path) == (0, 255)
    path.write_bytes(content[:29] + b"????" + content[33:])  # of the head
    with pytest.raises(UnreadableImage, match=r"m\.png cannot be read"):
        open_image(path)


@pytest.mark.parametrize(
    "block", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\0\xff", b"MPF\0MM\0*\0\0", b"ICC_PROF"]
)
def test_broken_metadata_of_a_jpeg(tmp_path, block):
    content = encoded(Image.fromarray(BAR), "JPEG", quality=95)
    for marker in (b"\xff\xe1", b"\xff\xe2", b"\xff\xed", b"\xff\xee"):
        segment = marker + struct.pack(">H", len(block) + 2) + block
        (tmp_path / "m.jpg").write_bytes(content[:2] + segment + content[2:])
        assert np.allclose(sides(tmp_path / "m.jpg"), (0, 255), atol=3)


JPEGS = [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1},
         {"restart_marker_blocks": 1}]  # fmt: skip


@pytest.mark.parametrize("options", JPEGS, ids=str)
def test_a_jpeg_without_its_last_two_bytes(tmp_path, options):
    content, path = encoded(noise(), "JPEG", **options), tmp_path / "e.jpg"
    path.write_bytes(content)
    whole = open_image(path)
    trailer = b"\0\0\x01\x0a" + b"samsung trailer" * 50 + b"SEFT"  # as its panoramas have
    for end in (content[:-2], content[:-1], content[:-2] + trailer):
        path.write_bytes(end)
        assert open_image(path) == whole


@pytest.mark.parametrize("options", JPEGS, ids=str)
def test_a_jpeg_that_lacks_pixels_is_refused(tmp_path, options):
    content, path = encoded(noise(), "JPEG", **options), tmp_path / "e.jpg"
    path.write_bytes(content)
    whole, some = open_image(path), len(content) // 300
    for left in range(some, len(content) - 50, some):
        for trailer in (b"", b"\xff"):
            path.write_bytes(content[:left] + trailer)
            with pytest.raises(UnreadableImage):
                open_image(path)
    for lacking in range(3, 12):
        path.write_bytes(content[:-lacking])
        with suppress(UnreadableImage):
            assert open_image(path) == whole


@pytest.mark.parametrize(
    "kind", ["AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA",
             "TIFF", "WEBP"],
)  # fmt: skip
def test_what_is_cut_at_half_is_refused(tmp_path, kind):
    content = encoded(noise(), kind)
    (tmp_path / "a.tga").write_bytes(content)
    assert open_image(tmp_path / "a.tga").size == (120, 90)
    (tmp_path / "a.tga").write_bytes(content[: len(content) // 2])
    with pytest.raises(UnreadableImage, match=r"a\.tga cannot be read as an image: it is broken"):
        open_image(tmp_path / "a.tga")


# Several pages


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "PNG", "WEBP", "AVIF"])
def test_of_several_pages_the_first_is_read_and_said(tmp_path, kind):
    first, second = Image.new("L", (16, 8), 255), Image.fromarray(BAR)
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(first, kind, save_all=True, append_images=[second], **options)
    (tmp_path / "p.tif").write_bytes(content)
    with pytest.warns(UserWarning, match=r"p\.tif has several pages or pictures: only the first"):
        assert sides(tmp_path / "p.tif") == (255, 255)
    (tmp_path / "p.tif").write_bytes(encoded(first, kind, **options))
    assert sides(tmp_path / "p.tif") == (255, 255)


def test_smaller_copies_and_previews_are_no_pages(tmp_path):
    with TiffImagePlugin.AppendingTiffWriter(tmp_path / "a.tif", True) as file:
        Image.fromarray(BAR).save(file, "TIFF")
        file.newFrame()
        small = TiffImagePlugin.ImageFileDirectory_v2()
        small[254] = 1
        Image.fromarray(BAR[::2, ::2]).save(file, "TIFF", tiffinfo=small)
    assert sides(tmp_path / "a.tif") == (0, 255)
    preview = Image.new("L", (8, 8))
    Image.fromarray(BAR).save(tmp_path / "a.mpo", save_all=True, append_images=[preview])
    assert np.allclose(sides(tmp_path / "a.mpo"), (0, 255), atol=3)


# Turned photographs


def raw() -> Image.Image:
    """Six by four fields of 8 × 8 pixels, all of other colours."""
    fields = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return Image.fromarray(np.kron(fields, np.ones((8, 8, 1), np.uint8)))


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_positions_go_with_the_pixels(tmp_path, kind, tag):
    exif = Image.Exif()
    exif[0x0112] = tag
    options = {"quality": 100} | ({"lossless": True} if kind == "WEBP" else {})
    (tmp_path / "a").write_bytes(encoded(raw(), kind, exif=exif, **options))
    found, frame = open_image(tmp_path / "a"), frame_of(tmp_path / "a")
    assert found.size == frame.size == ((48, 32) if tag < 5 else (32, 48))
    assert (frame.width, frame.height, frame.orientation) == (48, 32, tag)
    before, after = np.asarray(raw()).astype(int), np.asarray(found).astype(int)
    middles = [(x + 4, y + 4) for x in range(0, 48, 8) for y in range(0, 32, 8)]
    for (x, y), (u, v) in zip(middles, frame.placed(middles), strict=True):
        assert np.abs(before[y, x] - after[int(v), int(u)]).max() < 25
    corners = frame.placed([(0, 0), (48, 32)])
    assert sorted(corners.flatten().tolist()) == sorted([0, 0, *found.size])


def test_an_orientation_wherever_it_stands(tmp_path):
    xmp = b'<x:xmpmeta xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><a tiff:Orientation="6"/>'
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = f"\nexif\n{len(exif.tobytes()):8}\n{exif.tobytes().hex()}\n".encode()
    content = encoded(raw(), "PNG")
    for extra in (
        chunk(b"eXIf", exif.tobytes()[6:]),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)),
        chunk(b"tEXt", b"Raw profile type exif\0" + profile),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)),
    ):
        for place in (33, -12):  # before and behind the pixels
            (tmp_path / "a.png").write_bytes(content[:place] + extra + content[place:])
            assert open_image(tmp_path / "a.png").size == (32, 48)
            assert frame_of(tmp_path / "a.png").orientation == 6
    (tmp_path / "a.jpg").write_bytes(encoded(raw(), "JPEG", xmp=xmp))
    assert open_image(tmp_path / "a.jpg").size == frame_of(tmp_path / "a.jpg").size == (32, 48)


# Large photographs


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_108_megapixels_come_at_half_their_sides(tmp_path, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("L", (12_000, 9001), 200)
    picture.paste(0, (0, 0, 6000, 9001))
    options = {"TIFF": {"compression": "tiff_deflate"}, "JPEG": {"quality": 20}}.get(kind, {})
    picture.save(tmp_path / "108mp.jpg", kind, exif=exif, **options)
    frame = frame_of(tmp_path / "108mp.jpg")
    found = open_image(tmp_path / "108mp.jpg")
    assert found.size == frame.size == (4501, 6000)
    assert found.getpixel((9, 9)) < (9, 9, 9) and found.getpixel((9, 5990)) > (190, 190, 190)
    np.testing.assert_allclose(frame.placed([(6000, 9001)]), [(0, 3000)])


def test_what_is_averaged_has_no_palette(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "WHOLE_PIXELS", 16)
    for mode in ("1", "P", "L", "RGB", "RGBA", "LA"):
        Image.fromarray(BAR).convert(mode).save(tmp_path / "a.png")
        assert open_image(tmp_path / "a.png").size == (8, 4) and sides(tmp_path / "a.png")[0] == 0
    transparent("LA").save(tmp_path / "a.png")
    assert sides(tmp_path / "a.png") == (0, 255)
    Image.fromarray(BAR.astype(np.uint16) * 257).save(tmp_path / "a.png")
    assert sides(tmp_path / "a.png") == (0, 255)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP"])
def test_above_the_limit_it_is_refused_with_the_number(tmp_path, monkeypatch, kind):
    (tmp_path / "a").write_bytes(encoded(noise(), kind))
    monkeypatch.setattr(decoding, "MAX_PIXELS", 120 * 90 - 1)
    for read in (open_image, frame_of):
        with pytest.raises(
            UnreadableImage, match=r"a has 120×90 pixels, the limit is 10799: scale"
        ):
            read(tmp_path / "a")
    monkeypatch.setattr(decoding, "MAX_PIXELS", 120 * 90)
    assert open_image(tmp_path / "a").size == (120, 90)


# Which files are images


def test_names_and_contents(tmp_path):
    content = encoded(noise(), "JPEG")
    for name in (
        "a.JPG",
        "a.jfif",
        "a.jpe",
        "a.mpo",
        "a.avif",
        "a.jp2",
        "a.ppm",
        "IMG_1",
        "a.jpg~",
    ):
        (tmp_path / name).write_bytes(content)
        assert is_image_file(tmp_path / name)
    for kind in ("PPM", "WEBP", "AVIF", "JPEG2000", "TIFF", "BMP", "GIF", "QOI", "PCX", "SGI"):
        (tmp_path / "x").write_bytes(encoded(noise(), kind))
        assert is_image_file(tmp_path / "x") and open_image(tmp_path / "x").size == (120, 90)
    for name, other in (
        ("notes.txt", b"BMW and P6 are no pictures"),
        ("x.bin", bytes(10_000)),
        ("empty", b""),
        ("x.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        ("x.json", b"{}"),
    ):
        (tmp_path / name).write_bytes(other)
        assert not is_image_file(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")  # to look into it would wait for ever
    assert not is_image_file(tmp_path / "pipe") and not is_image_file(tmp_path)


def test_every_kind_that_pillow_opens_has_its_suffix_or_its_reason():
    Image.init()
    known = {suffix for suffix, kind in Image.EXTENSION.items() if kind in Image.OPEN}
    rare = {".blp", ".cur", ".dcx", ".fit", ".fits", ".flc", ".fli", ".ftc", ".ftu", ".gbr", ".iim",
            ".im", ".msp", ".pcd", ".pxr"}  # told by what is in them, if at all  # fmt: skip
    others = {".bufr", ".grib", ".h5", ".hdf", ".mpeg", ".mpg", ".ps"}  # no pictures
    drawings = {".eps", ".emf", ".wmf"}
    assert known - set(SUFFIXES) == rare | others | drawings
    assert all(why_unopened(f"a{suffix}") for suffix in drawings)


def test_what_is_not_opened_says_what_it_is(tmp_path):
    for name, said in (("a.HEIC", "HEIC"), ("a.nef", "a camera's raw file"), ("a.jxl", "JPEG XL")):
        assert why_unopened(tmp_path / name) == (
            f"{tmp_path / name} is {said}: convert it to JPEG or PNG."
        )
    assert why_unopened("a.jpg") is None
    for content, said in (
        (b"\0\0\0\x18ftypheic" + bytes(99), "it is HEIC"),
        (b"\xff\x0a" + bytes(99), "it is JPEG XL"),
        (b"<!DOCTYPE html><title>404</title>", "it is a web page"),
        (b"nothing", "it is broken or of another kind"),
    ):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(UnreadableImage, match=rf"a\.jpg cannot be read as an image: {said}"):
            open_image(tmp_path / "a.jpg")


def test_ghostscript_is_never_asked(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(encoded(noise(), "EPS"))
    monkeypatch.setattr(subprocess, "check_call", None)
    with pytest.raises(UnreadableImage, match="a drawing or a document"):
        open_image(tmp_path / "a.jpg")


def test_warnings_of_pillow_are_not_ours(tmp_path):
    Image.fromarray(BAR).convert("P").save(tmp_path / "a.png", transparency=bytes([0, 255]))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        open_image(tmp_path / "a.png")
    assert heard == []


@pytest.mark.parametrize(
    "kind", [np.float32, np.float64, np.float16, np.int16, np.uint16, np.int64, bool]
)
@pytest.mark.parametrize("wrap", [lambda array: array, lambda array: [array], torch.from_numpy])
def test_an_array_of_other_numbers_than_bytes_is_refused(tiny, kind, wrap):
    """What is black in it, and what is white, nobody can tell: 0 to 1 was read as black."""
    array = np.ones((64, 64, 3), kind)
    with pytest.raises(
        UserError, match=rf"uint8 array \[H, W, 3\]; got an array of .*{array.dtype}"
    ):
        tiny.processor(images=wrap(array))
    with pytest.raises(UserError, match="uint8 array"):
        tiny.scores(wrap(array), ["exit"])


def test_an_array_of_bytes_is_read_as_the_photograph_it_is(tiny):
    array = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    expected = tiny.processor(images=Image.fromarray(array))["pixel_values"]
    assert torch.equal(tiny.processor(images=array)["pixel_values"], expected)
    assert torch.equal(tiny.processor(images=[array])["pixel_values"], expected)
