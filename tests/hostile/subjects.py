"""What the product reads, made whole: a folder, which of its files are to be broken, and what reads
it."""

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from mstar import MstarConfig, MstarModel, MstarProcessor
from mstar.cli import __main__ as cli
from mstar.data.benchmarks import load
from mstar.data.lists.annotations import Annotations
from mstar.evaluate.spotters import check_kept
from mstar.experiments.ablation.features import Cached
from mstar.hooks.trace import Trace
from mstar.io.checkpoints import load_checkpoint
from mstar.io.images import open_image
from mstar.io.processing import character_tokenizer
from mstar.io.released import load_tokenizer, read_state
from mstar.search.nearest.lists import build
from mstar.search.store import SPACES
from mstar.texts import Query
from mstar.training import training_record
from mstar.training.loop.state import Progress, RunFolder
from tests.hostile.damage import (
    Damage,
    broken_bytes,
    broken_json,
    broken_lines,
    broken_safetensors,
    broken_text,
)


@dataclass(frozen=True)
class Subject:
    """One thing that is read.

    Attributes:
        make: writes it whole into a folder.
        files: those to be broken, each with how.
        read: reads it, all of it; returns the exit code where it is a command.
        share: of the cases.
        writes: what is there only after success, below the folder.
    """

    make: Callable[[Path], None]
    files: Mapping[str, Damage]
    read: Callable[[Path], int | None]
    share: float = 1
    writes: str | None = None


def bar() -> Image.Image:
    """A picture of 16 × 8 px."""
    return Image.fromarray(np.arange(16 * 8 * 3, dtype=np.uint8).reshape(8, 16, 3))


def picture(path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bar().save(path, **options)
    return path


def written(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


# A checkpoint, and what is made with one


def checkpoint(folder: Path) -> None:
    torch.manual_seed(0)
    config = MstarConfig.tiny(vision_config=_SMALL)
    MstarModel(config).half().save_pretrained(folder)
    MstarProcessor.for_config(config, character_tokenizer()).save_pretrained(folder)
    written(folder / "training.json", json.dumps([{"recipe": {"seed": 1}, "log": []}]))


_SMALL = MstarConfig.tiny().vision_config.to_dict() | {"image_size": 16}


def use_checkpoint(folder: Path) -> None:
    training_record(folder)
    load_checkpoint(folder).scores([bar()], ["exit", "phrase:way out"])


def gallery(folder: Path) -> None:
    checkpoint(folder / "checkpoint")
    for number in range(3):
        picture(folder / f"photos/{number}.png")
    command = ["index", str(folder / "photos"), str(folder / "gallery")]
    assert cli.main([*command, "--checkpoint", str(folder / "checkpoint")]) == 0


def search(folder: Path) -> int:
    return cli.main(["search", str(folder / "gallery"), "exit", "--json", "--rerank"])


def indexed(folder: Path) -> None:
    gallery(folder)
    with patch("mstar.search.nearest.lists.LEAST_VECTORS", 1):
        build(folder / "gallery")


def search_index(folder: Path) -> int:
    command = ["search", str(folder / "gallery"), "exit", "way out", "--json", "--approximate"]
    return cli.main(command)


def photographs(folder: Path) -> None:
    checkpoint(folder / "checkpoint")
    picture(folder / "photos/whole.png")
    for name in PICTURES:
        picture(folder / f"photos/{name}")


def index(folder: Path) -> int:
    command = ["index", str(folder / "photos"), str(folder / "made/gallery"), "--json"]
    return cli.main([*command, "--checkpoint", str(folder / "checkpoint")])


#: Of every kind that Pillow writes and the product reads.
PICTURES = ("a.jpg", "a.png", "a.gif", "a.bmp", "a.tif", "a.webp", "a.ppm", "a.tga", "a.jp2",
            "a.avif", "a.ico", "a.pcx", "a.qoi", "a.dds", "a.sgi")  # fmt: skip


def pictures(folder: Path) -> None:
    for name in PICTURES:
        picture(folder / name)


def open_pictures(folder: Path) -> None:
    """Each by itself, so that one that cannot be read hides no other."""
    refused = []
    for name in PICTURES:
        try:
            open_image(folder / name)
        except ValueError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def trace(folder: Path) -> None:
    checkpoint(folder / "checkpoint")
    bench = load_checkpoint(folder / "checkpoint")
    bench.trace(picture(folder / "a.png"), ["exit", "way"]).save(folder / "trace", photos=True)


def use_trace(folder: Path) -> None:
    found = Trace.load(folder / "trace")
    for name in found:
        assert len(found.axes(name)) == found[name].ndim
    assert all(isinstance(query, Query) for query in found.queries) and repr(found)


# Training


def run(folder: Path) -> None:
    place = folder / "checkpoints/step-00000002"
    progress = {"stage": 0, "step": 2, "total": 2, "steps": 4, "cpu_seconds": 1.5,
                "skipped": ["a.jpg"], "log": [{"step": 2}]}  # fmt: skip
    written(place / "progress.json", json.dumps({"progress": progress, "recipe": _RECIPE}))
    rows = [json.dumps({"stage": "read", "step": n, "loss": 1.5}) for n in range(2)]
    written(folder / "curve.jsonl", "\n".join(rows) + "\n")


_RECIPE = {"seed": 1, "size": "sandbox", "stages": [{"name": "read", "steps": 4}]}


def use_run(folder: Path) -> None:
    kept = RunFolder(folder, _RECIPE, keep=2)
    assert all(isinstance(loss, float) for loss in kept.losses(kept.found.step))


def training_state() -> Accelerator:
    """All that accelerate writes of a run and reads again."""
    accelerator = Accelerator(cpu=True)
    layer = torch.nn.Linear(2, 2)
    accelerator.prepare(layer, torch.optim.AdamW(layer.parameters()))
    return accelerator


def state(folder: Path) -> None:
    RunFolder(folder / "run", _RECIPE, keep=2).save(training_state(), Progress(total=2))


def use_state(folder: Path) -> None:
    RunFolder(folder / "run", _RECIPE, keep=2).load(training_state())


def features(folder: Path) -> None:
    (folder / "features").mkdir(parents=True)
    np.save(folder / "features/tokens.npy", np.ones((4, 9, 2), np.float16))
    texts = [["exit"], ["way", "out"], ["open"], ["shut"]]
    written(folder / "features/texts.json", json.dumps(texts))


def use_features(folder: Path) -> None:
    items = Cached(str(folder / "features"), side=2).open(0, 0)
    item = items.item(1, np.random.default_rng(0))
    assert item["image"].shape == (36, 2) and all(isinstance(one, str) for one in item["texts"])


def listed(folder: Path) -> None:
    entries = [
        {"image": f"{number}.png", "text": ["Exit", "way out"], "type": ["word", "phrase"]}
        for number in range(3)
    ]
    for entry in entries:
        picture(folder / "images" / entry["image"])
    written(folder / "list.json", json.dumps(entries, indent=1))


def use_list(folder: Path) -> None:
    found = Annotations(folder / "list.json", folder / "images")
    assert [one for one in (found[number] for number in range(len(found))) if one.image.is_file()]


def kept(folder: Path) -> None:
    row = json.dumps({"peer": "x", "image": "0" * 64, "lines": ["exit", "way out"]})
    written(folder / "kept.jsonl", f"{row}\n{row}\n")


# Released checkpoints


def released(folder: Path) -> None:
    state = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.int64)}
    torch.save({"model": state}, folder / "released.pth")
    save_file(state, folder / "released.safetensors")
    written(folder / "vocab.txt", "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]",
                                             *string.ascii_lowercase]) + "\n")  # fmt: skip


def use_released(folder: Path) -> None:
    load_tokenizer(folder / "vocab.txt", 12)("exit")
    read_state(folder / "released.safetensors")
    read_state(folder / "released.pth")


# Benchmarks, each in its publisher's layout


def tags(names: list[str]) -> str:
    images = "".join(
        f'<image><imageName>{name}</imageName><taggedRectangles><taggedRectangle x="1" y="2" '
        'width="8" height="4"><tag>EXIT</tag></taggedRectangle></taggedRectangles></image>\n'
        for name in names
    )
    return f'<?xml version="1.0" encoding="utf-8"?>\n<tagset>{images}</tagset>'


def svt(folder: Path) -> None:
    picture(folder / "img/1.png")
    written(folder / "test.xml", tags(["img/1.png"]))


def icdar2003(folder: Path) -> None:
    for name in ("a/1.png", "b/2.png"):
        picture(folder / name)
    written(folder / "words.xml", tags(["a/1.png", "b/2.png"]))


def icdar2015(folder: Path) -> None:
    picture(folder / "ch4_test_images/img_1.jpg")
    written(
        folder / "Challenge4_Test_Task1_GT/gt_img_1.txt",
        "1,1,9,1,9,5,1,5,exit\r\n1,1,9,1,9,5,1,5,###\r\n",
    )


def total_text(folder: Path) -> None:
    picture(folder / "Images/Test/img1.jpg")
    line = "x: [[1 9 9 1]], y: [[1 1 5 5]], ornt: [u'c'], transcriptions: [u'Exit']\n"
    written(folder / "txt_format/Test/poly_gt_img1.txt", line * 2)


def ctw1500(folder: Path) -> None:
    picture(folder / "test_images/1001.jpg")
    written(folder / "gt_ctw1500/0001001.txt", "1,1,9,1,9,5,1,5,####EXIT way\n" * 2)


def ctr(folder: Path) -> None:
    name = f"COCO_train2014_{7:012}"
    picture(folder / f"images/{name}.jpg")
    written(folder / f"gts/{name}.txt", "exit\nway out\n")
    written(folder / "queries.txt", "exit\nway out\nnowhere\n")


def iiit_str(folder: Path) -> None:
    picture(folder / "imgDatabase/img_1.jpg")
    data = np.zeros((1, 2), dtype=[("query", "O"), ("images", "O")])
    for number, word in enumerate(("exit", "way")):
        cell, column = np.empty((1, 1), dtype=object), np.empty((1, 1), dtype=object)
        cell[0, 0], column[0, 0] = word, "img_1.jpg"
        data[0, number] = (cell, column)
    savemat(folder / "data.mat", {"data": data})


def pstr(folder: Path) -> None:
    picture(folder / "images/001.jpg")
    np.save(folder / "query_image_dict.npy", {"way out": ["001.jpg"], "no exit": ["001.jpg"]})


def mqtr(folder: Path) -> None:
    picture(folder / "word/images/1.jpg")
    written(folder / "word/text_queries.json", json.dumps({"exit": ["1.jpg"], "way": ["1.jpg"]}))


def benchmark(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        found = load(name, folder)
        assert found.relevant.shape == (len(found.queries), len(found.images))

    return read


_CHECKPOINT = {"config.json": broken_json, "processor_config.json": broken_json,
               "tokenizer.json": broken_json, "tokenizer_config.json": broken_json,
               "model.safetensors": broken_safetensors, "training.json": broken_json}  # fmt: skip
_GT = "Challenge4_Test_Task1_GT/gt_img_1.txt"

SUBJECTS = {
    "checkpoint": Subject(checkpoint, _CHECKPOINT, use_checkpoint, 4),
    "gallery": Subject(
        gallery,
        {
            "gallery/gallery.json": broken_json,
            "gallery/00000.safetensors": broken_safetensors,
            "photos/0.png": broken_bytes,
            "checkpoint/config.json": broken_json,
        },
        search,
        2,
    ),
    "nearest": Subject(
        indexed,
        {f"gallery/nearest.{space}.safetensors": broken_safetensors for space in SPACES},
        search_index,
        2,
    ),
    "index": Subject(
        photographs,
        {f"photos/{name}": broken_bytes for name in PICTURES}
        | {f"checkpoint/{name}": how for name, how in _CHECKPOINT.items()},
        index,
        2,
        writes="made",
    ),
    "pictures": Subject(pictures, dict.fromkeys(PICTURES, broken_bytes), open_pictures, 4),
    "trace": Subject(
        trace,
        {
            "trace/trace.json": broken_json,
            "trace/trace.safetensors": broken_safetensors,
            "trace/photo.0.png": broken_bytes,
        },
        use_trace,
        2,
    ),
    "run": Subject(
        run,
        {"checkpoints/step-00000002/progress.json": broken_json, "curve.jsonl": broken_lines},
        use_run,
        2,
    ),
    "state": Subject(
        state,
        {
            f"run/checkpoints/step-00000002/{name}": how
            for name, how in {
                "model.safetensors": broken_safetensors,
                "optimizer.bin": broken_bytes,
                "random_states_0.pkl": broken_bytes,
            }.items()
        },
        use_state,
    ),
    "features": Subject(
        features,
        {"features/tokens.npy": broken_bytes, "features/texts.json": broken_json},
        use_features,
    ),
    "list": Subject(listed, {"list.json": broken_json, "images/0.png": broken_bytes}, use_list, 2),
    "kept": Subject(
        kept, {"kept.jsonl": broken_lines}, lambda folder: check_kept(folder / "kept.jsonl")
    ),
    "released": Subject(
        released,
        {
            "released.pth": broken_bytes,
            "released.safetensors": broken_safetensors,
            "vocab.txt": broken_text,
        },
        use_released,
        2,
    ),
    "svt": Subject(svt, {"test.xml": broken_text, "img/1.png": broken_bytes}, benchmark("svt")),
    "icdar2003": Subject(
        icdar2003, {"words.xml": broken_text, "a/1.png": broken_bytes}, benchmark("icdar2003")
    ),
    "icdar2015": Subject(
        icdar2015,
        {_GT: broken_text, "ch4_test_images/img_1.jpg": broken_bytes},
        benchmark("icdar2015"),
    ),
    "total-text": Subject(
        total_text, {"txt_format/Test/poly_gt_img1.txt": broken_text}, benchmark("total-text")
    ),
    "ctw1500": Subject(ctw1500, {"gt_ctw1500/0001001.txt": broken_text}, benchmark("ctw1500")),
    "ctr": Subject(
        ctr,
        {"queries.txt": broken_text, f"gts/COCO_train2014_{7:012}.txt": broken_text},
        benchmark("ctr"),
    ),
    "iiit-str": Subject(iiit_str, {"data.mat": broken_bytes}, benchmark("iiit-str")),
    "pstr": Subject(pstr, {"query_image_dict.npy": broken_bytes}, benchmark("pstr"), 2),
    "mqtr-word": Subject(mqtr, {"word/text_queries.json": broken_json}, benchmark("mqtr-word")),
}
