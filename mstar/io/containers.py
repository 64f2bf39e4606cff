"""Image files as bytes: what they are, and their pixels without the metadata around them.

Metadata that is broken costs nobody a photograph: of a PNG the chunks that matter are picked here,
of a JPEG whose header cannot be read the segments. Whether all pixels are there is asked of the
decoder, see `complete_jpeg`. Imports no torch.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from typing import BinaryIO, NamedTuple

from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
#: By these a file is an image whatever it is called.
_SIGNATURES = (PNG, JPEG, b"GIF8", b"II*\0", b"MM\0*")
_TEXT_BYTES = 2**20  # of unpacked text: what an orientation can stand in
_ORIENTATION = 0x0112
_RAW = re.compile(rb"\A\s*exif\s+\d+\s+([0-9a-fA-F\s]*)\Z")
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')

#: Suffixes of images that no photograph is read from here -> what they are.
UNOPENED = {
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIC"),
    ".jxl": "JPEG XL",
    **dict.fromkeys((".jxr", ".wdp", ".hdp"), "JPEG XR"),
    **dict.fromkeys((".svg", ".svgz", ".eps", ".wmf", ".emf"), "a drawing, no photograph"),
    **dict.fromkeys((".bpg", ".exr", ".hdr", ".xcf"), "of a kind that is not read here"),
    **dict.fromkeys(
        (
            ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".iiq", ".kdc", ".mef",
            ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2", ".rwl", ".sr2",
            ".srf", ".srw", ".x3f",
        ),
        "a camera's raw file",
    ),
}  # fmt: skip


def is_image(head: bytes) -> bool:
    """Whether a file that begins so can be nothing but an image, whole or broken."""
    return head.startswith(_SIGNATURES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def unopened(head: bytes) -> str | None:
    """What a file that cannot be read is by its first bytes, where that is known."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"):
        return "HEIC"
    if brand == b"crx ":
        return "a camera's raw file"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL"
    if head.lstrip().startswith((b"<svg", b"<?xml", b"%PDF", b"%!PS")):
        return "a drawing or a document, no photograph"
    if head.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "a web page: what was to be downloaded is not in it"
    return None


def orientation(exif: bytes | None, xmp: bytes | None) -> int:
    """How a photograph is to be turned, 1 to 8 as EXIF counts; 1 where nobody can tell."""
    tag = None
    if exif:
        with suppress(Exception):  # whatever a broken block leads Pillow to
            found = Image.Exif()
            found.load(exif)
            tag = found.get(_ORIENTATION)
    if tag is None and xmp and (match := _XMP_ORIENTATION.search(xmp)):
        tag = int(match[1])
    return int(tag) if isinstance(tag, int | float) and tag in range(1, 9) else 1


class Png(NamedTuple):
    """What counts of a PNG.

    Attributes:
        pixels: a PNG without anything else; only its head if no pixels were asked for.
        exif, xmp: as they stand there.
        animated: whether more pictures than the first one follow.
    """

    pixels: BytesIO
    exif: bytes | None
    xmp: bytes | None
    animated: bool


def read_png(file: BinaryIO, pixels: bool = True) -> Png:
    """Pick what counts. As libpng does, chunks beside the pixels are dropped if they are broken."""
    file.seek(0)
    kept, exif, xmp, animated, header = [file.read(len(PNG))], None, None, False, b""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IDAT" and not pixels:
            if len(kept[-1]) < 4 or kept[-1][4:8] != b"IDAT":
                kept.append(struct.pack(">I4sI", 0, b"IDAT", zlib.crc32(b"IDAT")))
            file.seek(length + 4, 1)
            continue
        content, check = file.read(length), file.read(4)
        if not kind[:1].islower():  # critical; broken ones are for Pillow to refuse
            kept.append(head + content + check)
            header = content if kind == b"IHDR" else header
            if kind == b"IEND":
                break
        elif check != struct.pack(">I", zlib.crc32(kind + content)):
            continue
        elif kind == b"tRNS" and (content := _transparency(header, content)):
            chunk = kind + content
            kept.append(struct.pack(">I", len(content)) + chunk)
            kept.append(struct.pack(">I", zlib.crc32(chunk)))
        elif kind == b"eXIf":
            exif = exif or content
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            keyword, text = _text(kind, content)
            if keyword == b"Raw profile type exif" and (raw := _RAW.match(text)):
                digits = b"".join(raw[1].split())
                exif = exif or bytes.fromhex(digits[: len(digits) & ~1].decode())
            elif keyword == b"XML:com.adobe.xmp":
                xmp = xmp or text
        elif kind == b"acTL":
            animated = content[:4] > b"\0\0\0\1"
        elif kind == b"fdAT":
            animated = True
    return Png(BytesIO(b"".join(kept)), exif, xmp, animated)


def _transparency(header: bytes, content: bytes) -> bytes:
    """A tRNS chunk as Pillow takes it; empty if it is none.

    Pillow compares the entry with samples that it has already scaled to 8 bits.
    """
    depth, colour = header[8:10] if len(header) >= 10 else (0, 3)
    if colour not in (0, 2):
        return content
    samples = 3 if colour == 2 else 1
    if len(content) < 2 * samples:
        return b""
    values = struct.unpack(f">{samples}H", content[: 2 * samples])
    if colour == 2 and depth == 16:
        values = tuple(value >> 8 for value in values)
    elif colour == 0 and depth in (2, 4):
        values = tuple((value & (2**depth - 1)) * (255 // (2**depth - 1)) for value in values)
    return struct.pack(f">{samples}H", *values)


def _text(kind: bytes, content: bytes) -> tuple[bytes, bytes]:
    """Keyword and text of a chunk; no text if it is packed in a way that nobody can undo."""
    keyword, _, rest = content.partition(b"\0")
    if keyword not in (b"Raw profile type exif", b"XML:com.adobe.xmp"):
        return keyword, b""
    packed = kind == b"zTXt" or (kind == b"iTXt" and rest[:1] == b"\1")
    if kind == b"zTXt":
        rest = rest[1:]
    elif kind == b"iTXt":
        rest = b"".join(rest[2:].split(b"\0", 2)[2:])
    if packed:
        try:
            rest = zlib.decompressobj().decompress(rest, _TEXT_BYTES)
        except zlib.error:
            rest = b""
    return keyword, rest[:_TEXT_BYTES]


# JPEG: markers, each followed by its length unless it stands alone


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, begin, end) of each segment; a scan ends with the data that follow its header.

    Ends at the first that is none, so that trailers are left out.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker < 0xC0 or 0xD0 <= marker <= 0xD9:
            return
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if end > len(data):
            return
        if marker == 0xDA:
            found = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]").search(data, end)
            end = found.start() if found else len(data)
        yield marker, at, end
        at = end


def bare_jpeg(data: bytes) -> bytes:
    """A JPEG without comments and without what applications wrote, but for how colours are kept."""
    kept, end = [data[:2]], 2
    for marker, begin, end in _segments(data):
        if not (marker == 0xFE or 0xE1 <= marker <= 0xED or marker == 0xEF):
            kept.append(data[begin:end])
    return b"".join((*kept, data[end:]))


def jpeg_exif(data: bytes) -> bytes | None:
    """Its EXIF block."""
    for marker, begin, end in _segments(data):
        if marker == 0xE1 and data[begin + 4 : begin + 10] == b"Exif\0\0":
            return data[begin + 10 : end]
    return None


#: Put behind the last scan: where pixels are missing, these become different ones.
_FILLINGS = (b"", bytes(range(1, 255)) * 8, bytes(range(254, 0, -1)) * 8)


def complete_jpeg(data: bytes) -> list[bytes]:
    """Ways to end a JPEG that lacks its end.

    If all of them have the same pixels, then none of the pixels comes from how it was ended, and
    it is whole. Empty if a scan is missing.
    """
    marker, begin, end = 0, 2, 2
    components: dict[int, list[int | None]] = {}  # each coefficient's last bit that is there
    for marker, begin, end in _segments(data):
        head = data[begin + 4 : end]
        if marker in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA) and len(head) >= 6:
            components = {one: [None] * 64 for one in head[6 : 6 + 3 * head[5] : 3]}
        elif marker == 0xDA and head and len(head) >= 4 + 2 * head[0]:
            chosen, (first, last, bits) = head[1 : 1 + 2 * head[0] : 2], head[1 + 2 * head[0] :][:3]
            for one in chosen:
                if one in components:
                    band = range(first, min(last, 63) + 1)
                    components[one][first : min(last, 63) + 1] = [bits & 15 for _ in band]
    if not components or any(bit != 0 for bits in components.values() for bit in bits):
        return []
    body = data[:end].rstrip(b"\xff")
    # where a scan restarts every so often, it goes on with the next of eight marks
    scan = body[begin:] if marker == 0xDA else b""
    restart = b"\xff" + bytes([0xD0 + len(re.findall(rb"\xff[\xd0-\xd7]", scan)) % 8])
    fillings = (*_FILLINGS, restart + _FILLINGS[1])
    return [body + filling + b"\xff\xd9" for filling in fillings]
