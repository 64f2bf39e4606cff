"""The typefaces of the sandbox: 50 files out of pinned wheels, each known by its SHA-256.

Twelve faces draw EASY images, 43 (the twelve and 31 more) draw HARD ones, and two whole families,
seven faces, are held out: they occur in evaluation galleries only. All of them are free:

=====================  ========================================  =========================
wheel                  faces                                     licence of the faces
=====================  ========================================  =========================
font-caladea           Caladea                                   Apache License 2.0
font-fjallaone         Fjalla One                                SIL Open Font License 1.1
font-fredoka-one       Fredoka One                               SIL Open Font License 1.1
font-hanken-grotesk    Hanken Grotesk                            SIL Open Font License 1.1
font-intuitive         Intuitive                                 SIL Open Font License 1.1
font-lato              Lato                                      SIL Open Font License 1.1
font-manrope           Manrope                                   SIL Open Font License 1.1
font-rhd               Red Hat Display                           SIL Open Font License 1.1
font-source-sans-pro   Source Sans Pro                           SIL Open Font License 1.1
font-source-serif-pro  Source Serif Pro                          SIL Open Font License 1.1
pymupdf-fonts          Fira Mono, FiraGO, Noto Sans, Space Mono  SIL Open Font License 1.1
=====================  ========================================  =========================

The hashes are what makes a seed give the same image on every machine: a file with other bytes
draws other letters, so it is refused rather than used.
"""

import hashlib
import importlib
import importlib.util
import io
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import ImageFont

CAP_HEIGHT = 0.7
"""Height of a capital in units of the nominal size, the same for every face.

Faces disagree by a third on how large "16 px" is. Scaling each to one cap height makes `size`,
and with it the border between large and small, mean the same everywhere.
"""

EASY, HARD, UNSEEN = "easy", "hard", "unseen"


@dataclass(frozen=True)
class FontFile:
    """One face: its name, where its wheel keeps it, when it may be used, and its SHA-256."""

    name: str
    package: str
    suffix: str  # "ttf" and "otf" are files; "py" is a module that holds the bytes
    role: str
    sha256: str


# fmt: off
FONT_FILES = (
    FontFile("Lato-Regular", "font_lato", "ttf", EASY,
             "e82542aed8293f49fc83c4aaea566b1f6b4fc7a9ab5da11e6fb9bc0973b5324b"),
    FontFile("Lato-Bold", "font_lato", "ttf", EASY,
             "d7f0b7f2570f2f28b504da1181b4d71b1420b10be2c4fd690927f1c8ee3b19c3"),
    FontFile("Manrope-SemiBold", "font_manrope", "ttf", EASY,
             "9544fef8e59d1a36a19ecba1b8563f9b3395a7ffd3cea7c12267155937dcee36"),
    FontFile("SourceSansPro-Semibold", "font_source_sans_pro", "ttf", EASY,
             "b440fd42fd5a54e1b252731deca9cc86604bee6ffa99281f5874c3476eb17eae"),
    FontFile("SourceSerifPro-Regular", "font_source_serif_pro", "ttf", EASY,
             "b4e0771f06d8f6573a535312762b0b2f4fb9a03372239e39b0e7cf203da8ea9a"),
    FontFile("SourceSerifPro-Bold", "font_source_serif_pro", "ttf", EASY,
             "78041207a9c5166a82d41676d4c87f4c5ba4e1c13ac654e6e9e3538a5a0b0525"),
    FontFile("Caladea-Regular", "font_caladea", "ttf", EASY,
             "d2f6cad33f191e65b68bd74e6d4f7708080a41b32db635866109df3090265d91"),
    FontFile("Caladea-Bold", "font_caladea", "ttf", EASY,
             "74eda4fc5ffba0d8dc4aa76d41499f5ab76168d9ed6141c6417064c6244db9b6"),
    FontFile("HankenGrotesk-SemiBold", "font_hanken_grotesk", "otf", EASY,
             "18fe66acd471283a78085da5645d88103111ceac0bd4af6c6d84e9ac77f89279"),
    FontFile("FjallaOne-Regular", "font_fjallaone", "ttf", EASY,
             "172993e1f42c8580034447e217a8f1c138256b74d5677ccae38173144a67ffd6"),
    FontFile("FredokaOne-Regular", "font_fredoka_one", "ttf", EASY,
             "a2fbb1416510efe20330272bc182d667efe1507db5faecde893084fb15953973"),
    FontFile("FiraMono-Regular", "pymupdf_fonts", "py", EASY,
             "1783904b9a03d1852ed185549d74526d9f6a4a643181eb591c3a69993ae42ced"),
    FontFile("Lato-Black", "font_lato", "ttf", HARD,
             "abf64cfa14645043a7c33f76435125f8b3de79c510adb938a1c16085518d4341"),
    FontFile("Lato-Italic", "font_lato", "ttf", HARD,
             "3be26bf6973f49df6a7dfd130041017354342bfbb023e6b9610b42daeba6de34"),
    FontFile("Lato-BoldItalic", "font_lato", "ttf", HARD,
             "e38611f4c0ff3251a58fe751991c39784d8f9be420b004891e0b9277228ec32f"),
    FontFile("Manrope-Regular", "font_manrope", "ttf", HARD,
             "1e390629ba046af367b66221ffc1b88dcb83e437b5950e4c85a702c9f7628348"),
    FontFile("Manrope-ExtraBold", "font_manrope", "ttf", HARD,
             "24454f098114668e002b020d640fa905d34d1f130356996fb6cb253bdd2377b4"),
    FontFile("SourceSansPro-Regular", "font_source_sans_pro", "ttf", HARD,
             "b77f3a700edd0fc0dec73258f882d5c3926c77f5caf6800a201d2166568d2309"),
    FontFile("SourceSansPro-Black", "font_source_sans_pro", "ttf", HARD,
             "1e59595ebe0445db9bcea5de0d0fa2e08766809d1c97789d938b71a77ecf3cf5"),
    FontFile("SourceSansPro-It", "font_source_sans_pro", "ttf", HARD,
             "36133e9f508b0b4c639e84b2a09855350be0b13700ad729ab519aa78e5c48d20"),
    FontFile("SourceSansPro-BoldIt", "font_source_sans_pro", "ttf", HARD,
             "eab3e6c76c677dda287b2e56f41f718cc975a14150f72ef82e0a87f1b56eac4c"),
    FontFile("SourceSansPro-BlackIt", "font_source_sans_pro", "ttf", HARD,
             "6cdaeb50edf2de3f6222f4e53e7a22e838ee9533fd67a521a24c8ad973d48a8f"),
    FontFile("SourceSerifPro-Semibold", "font_source_serif_pro", "ttf", HARD,
             "83cc8531f284efb749bbb54f9fb4a0e0450cba918a41df76fabb3a42f2f95899"),
    FontFile("SourceSerifPro-Black", "font_source_serif_pro", "ttf", HARD,
             "3eb2883217d013b370c4a69e467616dcb2075f40d8d5231285e0a83817481ad9"),
    FontFile("SourceSerifPro-It", "font_source_serif_pro", "ttf", HARD,
             "13e315bc49bd04ef89228db5fbc793e407d76f9ffadda4e5e08894fb474736eb"),
    FontFile("SourceSerifPro-SemiboldIt", "font_source_serif_pro", "ttf", HARD,
             "ce9ebf5f494bc17c2ec40f6cb8d80f80b5a15fa5e12559020581a7eda948cf92"),
    FontFile("SourceSerifPro-BoldIt", "font_source_serif_pro", "ttf", HARD,
             "ea5d428577132b83195c5349b429125d5c5041406663ae2d30c258467c3092b5"),
    FontFile("Caladea-Italic", "font_caladea", "ttf", HARD,
             "9c968bf60ba1e851cdfea77c71e3540c57792f77482dd241acc29d1425569c4e"),
    FontFile("Caladea-BoldItalic", "font_caladea", "ttf", HARD,
             "f47a35ad6cd0efa9914d93f9d03c93e30c55da43674bccfabac73b3c0d522c01"),
    FontFile("HankenGrotesk-Regular", "font_hanken_grotesk", "otf", HARD,
             "7081af94a8df60b1dd203f702343db54d5abf4c5f0d2c3762649dd6fb6b28ced"),
    FontFile("HankenGrotesk-Bold", "font_hanken_grotesk", "otf", HARD,
             "5079474afed8e7099e802369a4d5dce8a83da3e5cb35a0a65054cafe3a9cbb80"),
    FontFile("HankenGrotesk-Italic", "font_hanken_grotesk", "otf", HARD,
             "5d27abf2319efced2553350107d5af13871b4f21280a5f7508e3fce7d50f2a02"),
    FontFile("HankenGrotesk-BoldItalic", "font_hanken_grotesk", "otf", HARD,
             "059210784a6b65d84c47cae437867c93af485cab7ce7af826d5759d5466f17dd"),
    FontFile("Intuitive", "font_intuitive", "ttf", HARD,
             "8e179d0b80ee7e272bbc12b7f9aa11314ef660396101ba4e0096e535256232ab"),
    FontFile("FiraMono-Bold", "pymupdf_fonts", "py", HARD,
             "12b994171a99952fead7756658dfcf3dc69d79e07fff3303444f003580df9a19"),
    FontFile("FiraGO-Regular", "pymupdf_fonts", "py", HARD,
             "495901c0c608ea265f4c31aa2a4c7a313e5cc2a3dd610da78a447fe8e07454a2"),
    FontFile("FiraGO-Italic", "pymupdf_fonts", "py", HARD,
             "36713ecac376845daa58738d2c2ba797cf6f6477b8c5bb4fa79721dc970e8081"),
    FontFile("FiraGO-Bold", "pymupdf_fonts", "py", HARD,
             "ab720753c39073556260ebbaee7e7af89f9ca202a7c7abc257d935db590a1e35"),
    FontFile("FiraGO-BoldItalic", "pymupdf_fonts", "py", HARD,
             "51ad0da400568385e038ccb962a692f145dfbd9071d7fe5cb0903fd2a8912ccd"),
    FontFile("NotoSans-Regular", "pymupdf_fonts", "py", HARD,
             "6b04c8dd65af6b73eb4279472ed1580b29102d6496a377340e80a40cdb3b22c9"),
    FontFile("NotoSans-Italic", "pymupdf_fonts", "py", HARD,
             "35600501daadd3e9030ee6ed8098fd3c7f31bfd898ca58da8edf793a3231c48b"),
    FontFile("NotoSans-Bold", "pymupdf_fonts", "py", HARD,
             "7c15ac396d2ce6bc33a3b4efacdbd322c9e46376599a725c6f790d8036052cab"),
    FontFile("NotoSans-BoldItalic", "pymupdf_fonts", "py", HARD,
             "871c3129a8ba4dcd6b37949c9931f1087ff0434731e6db15798f00fc98808480"),
    FontFile("RedHatDisplay-Regular", "font_rhd", "ttf", UNSEEN,
             "b3c6289677cb95107738025b86cba835f0283b46dc60d6ace3bff9b9700bfbd0"),
    FontFile("RedHatDisplay-Bold", "font_rhd", "ttf", UNSEEN,
             "861c7d8c0ebe239611dddce4f017d6a5c3389aea28bb31d9ee5bf8cded0826d0"),
    FontFile("RedHatDisplay-Black", "font_rhd", "ttf", UNSEEN,
             "15d4ace0fec1655494444d972b55b9830191c272244e74f1665adafe9e1de249"),
    FontFile("RedHatDisplay-MediumItalic", "font_rhd", "ttf", UNSEEN,
             "5e28fe070427cb6d65247d72548cd7481567671bed2586dc38afacafa5f5f48c"),
    FontFile("SpaceMono-Regular", "pymupdf_fonts", "py", UNSEEN,
             "d0855b0c557b78ea0449762b25ccca018880f483e56ff9a69e7cbde1dc12fa3a"),
    FontFile("SpaceMono-Bold", "pymupdf_fonts", "py", UNSEEN,
             "6de6db9666e7940da5c4b52855ab2a0e181b14d74772b234496968230ad8c4d0"),
    FontFile("SpaceMono-BoldItalic", "pymupdf_fonts", "py", UNSEEN,
             "ccf252c1029a3abed6c3e3d1292e0f8e7cc4469c393251f0d9c811410d9c0f64"),)

_FILES = {font.name: font for font in FONT_FILES}


@cache
def font_names(role: str) -> tuple[str, ...]:
    """Names of the faces that may draw `role`: "easy" (12), "hard" (43) or "unseen" (7)."""
    roles = {EASY: (EASY,), HARD: (EASY, HARD), UNSEEN: (UNSEEN,)}
    if role not in roles:
        raise ValueError(f"Unknown font role {role!r}: expected one of {', '.join(roles)}.")
    return tuple(font.name for font in FONT_FILES if font.role in roles[role])


def fonts_hash() -> str:
    """One SHA-256 over the names and hashes of all faces: part of every gallery's hash."""
    listing = "\n".join(f"{font.name} {font.sha256}" for font in FONT_FILES)
    return hashlib.sha256(listing.encode()).hexdigest()


@cache
def _source(name: str) -> Path | bytes:
    """Where FreeType reads the face from, once its hash is checked: a path, or the bytes."""
    font = _FILES[name]
    spec = importlib.util.find_spec(font.package)
    if spec is None:
        wheel = font.package.replace("_", "-")
        raise ValueError(f"The font {name} needs the wheel {wheel}, which is not installed.")
    if font.suffix == "py":
        module = font.name.replace("-", "_")
        source = importlib.import_module(f"{font.package}.{module}").fontbuffer
        found = hashlib.sha256(source).hexdigest()
    else:
        source = Path(spec.origin).parent / "files" / f"{font.name}.{font.suffix}"
        found = hashlib.sha256(source.read_bytes()).hexdigest()
    if found != font.sha256:
        raise ValueError(
            f"The font {name} of {font.package} has SHA-256 {found}, expected {font.sha256}: "
            "install the pinned version of its wheel."
        )
    return source


def _open(name: str, pixels: float) -> ImageFont.FreeTypeFont:
    source = _source(name)
    # Basic layout: the other engine lives outside Pillow and may differ between machines.
    return ImageFont.truetype(
        io.BytesIO(source) if isinstance(source, bytes) else source,
        pixels,
        layout_engine=ImageFont.Layout.BASIC,
    )


@dataclass(frozen=True)
class _Measures:
    scale: float  # FreeType pixels per unit of nominal size
    advance: dict[str, float]  # the rest is in units of nominal size
    ink: dict[str, tuple[float, float, float, float]]  # left, top, right, bottom from the origin


@cache
def _measures(name: str) -> _Measures:
    probe = 200
    face = _open(name, probe)
    _, top, _, bottom = face.getbbox("H", anchor="ls")
    scale = CAP_HEIGHT * probe / (bottom - top)
    unit = scale / probe
    advances, inks = {}, {}
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
        mask, (x, y) = face.getmask2(letter, mode="L", anchor="ls")
        left, top, right, bottom = mask.getbbox()
        box = (x + left, y + top, x + right, y + bottom)
        advances[letter] = face.getlength(letter) * unit
        inks[letter] = tuple(value * unit for value in box)
    return _Measures(scale, advances, inks)


@lru_cache(maxsize=600)
def face(name: str, size: int) -> ImageFont.FreeTypeFont:
    """The face `name`, scaled so that its capitals are `CAP_HEIGHT * size` pixels tall."""
    return _open(name, size * _measures(name).scale)


def advance(name: str, word: str) -> float:
    """How far `word` moves the pen, in units of the nominal size; KeyError outside a-z, A-Z."""
    advances = _measures(name).advance
    return sum(advances[letter] for letter in word)


def ink(name: str, words: tuple[str, ...], gap: float) -> tuple[float, float]:
    """Width and height of the ink of words on a line, in units of the nominal size.

    Computed from the letters without drawing them, which is twenty times faster; hinting and
    kerning may change it by a pixel.
    """
    measures = _measures(name)
    pen, lefts, tops, rights, bottoms = 0.0, [], [], [], []
    for word in words:
        for letter in word:
            left, top, right, bottom = measures.ink[letter]
            lefts.append(pen + left)
            rights.append(pen + right)
            tops.append(top)
            bottoms.append(bottom)
            pen += measures.advance[letter]
        pen += gap
    return max(rights) - min(lefts), max(bottoms) - min(tops)
