"""What ships with the package: a small trained checkpoint and a gallery of sample photographs.

No camera took the samples: they are path-traced scenes of ours, made by `tests/samples`.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from mstar.errors import UserError
from mstar.files import check_regular, read_json, restored
from mstar.texts import Query

#: What every checkpoint has.
FILES = ("config.json", "model.safetensors", "processor_config.json", "tokenizer_config.json")
ASSETS = Path(__file__).parents[1] / "assets"
#: What is shown first: a sign, bottles and a shirt that it reads, and a bus that it does not.
_SHOWN = ("station-1.jpg", "bottles-1.jpg", "shirt-1.jpg", "bus-1.jpg")


@dataclass(frozen=True)
class Sample:
    """One image of the sample gallery with the queries it answers, texts and styles in parallel."""

    path: Path
    texts: tuple[str, ...]
    styles: tuple[str, ...]

    def answers(self, text: str, style: str) -> bool:
        """Whether the query is among the labels. Of combined texts only some are labelled."""
        return (text, style) in zip(self.texts, self.styles, strict=True)

    def queries(self, words: int = 4, others: int = 1) -> list[Query]:
        """A few of its queries: the first words and the first of each other style."""
        chosen: list[Query] = []
        labels = list(map(Query, self.texts, self.styles))
        for style in dict.fromkeys(self.styles):
            of_style = [query for query in labels if query.style == style]
            chosen += of_style[: words if style == "word" else others]
        return chosen


def checkpoint(folder: str | Path | None = None) -> Path:
    """The folder of a checkpoint, seen to be one by its files; None or `embedded` = ours.

    Raises:
        UserError: there is no such folder, or it is no MSTAR checkpoint.
        FileNotFoundError: this installation has no embedded one.
    """
    if str(folder) == "embedded" and not Path(folder).exists():
        folder = None
    if not folder and not (ASSETS / "checkpoint/config.json").is_file():
        raise FileNotFoundError(
            "this installation has no embedded checkpoint: name one with --checkpoint, "
            "or train it with `mstar train`."
        )
    folder = Path(folder or ASSETS / "checkpoint")
    if not folder.is_dir() and not restored(folder).is_dir():
        raise UserError(f"there is no checkpoint folder {folder}.")
    for path in folder.iterdir():
        if path.is_symlink() or not path.is_dir():
            check_regular(path, "checkpoint")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder} is no MSTAR checkpoint: {', '.join(missing)} missing.")
    kind = read_json(folder / "config.json").get("model_type")
    if kind != "mstar":
        raise UserError(f"{folder} holds a model of type {kind!r}; expected 'mstar'.")
    return folder


def shape(folder: Path) -> SimpleNamespace | None:
    """What hook points and sizes depend on, read from a configuration without torch.

    As `MstarConfig` has it: both parts, T, the layers that look at the image. None where the file
    does not say all of it: reading it whole then tells what is wrong.
    """
    said = read_json(folder / "config.json")
    try:
        vision, qformer = (
            SimpleNamespace(**said[part]) for part in ("vision_config", "qformer_config")
        )
        layers = range(0, qformer.num_hidden_layers, qformer.cross_attention_frequency)
        found = SimpleNamespace(
            vision_config=vision, qformer_config=qformer, cross_attention_layers=tuple(layers),
            pve_steps=said["pve_steps"], multi_word_branch=said["multi_word_branch"],
        )  # fmt: skip
        numbers = (vision.patch_size, vision.num_hidden_layers, found.pve_steps)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return found if all(type(one) is int and one >= 0 for one in numbers) else None


def gallery() -> list[Sample]:
    """The sample gallery, in a fixed order: what is shown first, then the others by name."""
    folder = ASSETS / "samples"
    about = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    found = [
        Sample(folder / entry["file"], tuple(entry["texts"]), tuple(entry["styles"]))
        for entry in about["images"]
    ]
    first = {name: place for place, name in enumerate(_SHOWN)}
    return sorted(found, key=lambda one: (first.get(one.path.name, len(first)), one.path.name))


def samples(count: int = 4) -> list[Sample]:
    """The images a report shows when none is named: the first of the gallery."""
    return gallery()[:count]
