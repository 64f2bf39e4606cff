"""Our model against golden vectors of the reference implementation: `python -m tests.golden ROOT`.

ROOT holds any number of folders `seed*` (a small random model, its inputs and every intermediate,
for both released methods and T = 0 … 3) and, if present, `sigma/` and `extra/`. Each `ours_*`
function below says what one kind of file must hold, by computing the same from our model.

Exit code: 0 everything agrees, 1 something is beyond its tolerance, 2 nothing was compared or a
seed lacks something.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from mstar.io.processing import MstarProcessor, character_tokenizer
from mstar.io.released import load_released, load_tokenizer, resize_positions, resize_queries
from mstar.io.released_config import our_name
from mstar.model.assignment import assign, assign_per_image, word_scores
from mstar.model.configuration import MstarConfig
from mstar.model.losses import contrastive_loss, matching_pairs, soft_targets
from mstar.model.outputs import MstarOutput
from mstar.model.recycling import Look, salient_region
from mstar.search.reranking import rerank
from mstar.texts import clean_caption

Tensors = dict[str, Tensor]

#: The released word model and multi-query model, and the length their texts are padded to.
METHODS = {"hungarian": 12, "hug_cross": 32}
STEPS = (0, 1, 2, 3)

TOLERANCE = 2e-5
GRADIENT_TOLERANCE = 1e-4
#: A decision (an order, a threshold) between values closer than this is listed.
TIE = 1e-5
#: Gradients this much smaller than the model's largest are rounding of a zero: those of key
#: biases, to which softmax is blind. They must be as small on our side.
ZERO_GRADIENT = 1e-6
TEMPERATURE = 0.05


@dataclass
class Row:
    """One quantity: tensors compared and expected, and the largest absolute difference."""

    tolerance: float
    compared: int = 0
    expected: int = 0
    error: float = 0.0

    @property
    def ok(self) -> bool:
        return self.error <= self.tolerance


@dataclass
class Report:
    """Everything that a run found."""

    rows: dict[str, Row] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)  # a seed must have it and does not
    absent: list[str] = field(default_factory=list)  # may be absent
    unknown: list[str] = field(default_factory=list)  # there, and not compared
    ties: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def compare(
        self,
        quantity: str,
        ours: Tensor,
        golden: Tensor | None,
        tolerance: float | None = None,
        undecided: Tensor | None = None,
    ) -> None:
        """Count one tensor; None = it is missing.

        Args:
            tolerance: None = equal if the golden tensor is of whole numbers, else `TOLERANCE`.
            undecided: bool, rows that hang on a tie: a difference there is listed as one.
        """
        if tolerance is None:
            tolerance = TOLERANCE if ours.dtype.is_floating_point else 0.0
        row = self.rows.setdefault(quantity, Row(tolerance))
        row.expected += 1
        if golden is None:
            return
        row.compared += 1
        if ours.shape != golden.shape:
            self.notes.append(f"{quantity}: shape {list(golden.shape)}, ours {list(ours.shape)}")
            row.error = float("inf")
            return
        difference = (ours.double() - golden.double()).abs().nan_to_num(nan=float("inf"))
        if undecided is not None and undecided.any():
            if difference[undecided].any():
                self.ties.append(f"{quantity}: differs where a tie decides")
            difference = difference[~undecided]
        row.error = max(row.error, difference.max().item() if difference.numel() else 0.0)

    def count(self, quantity: str, agree: Iterable[bool]) -> None:
        """Count things that are equal or not; the error is how many are not."""
        row = self.rows.setdefault(quantity, Row(0.0))
        for same in agree:
            row.expected += 1
            row.compared += 1
            row.error += not same

    def close_call(self, where: str, gap: Tensor) -> Tensor:
        """List decisions with a gap (relative to the values) under `TIE`; bool like `gap`."""
        close = gap < TIE
        for index in close.nonzero().tolist():
            place = where + ", ".join(map(str, index))
            self.ties.append(f"{place}: gap {gap[tuple(index)].item():.1e}")
        return close

    @property
    def exit_code(self) -> int:
        if self.lacking or not any(row.compared for row in self.rows.values()):
            return 2
        return int(not all(row.ok for row in self.rows.values()))

    def __str__(self) -> str:
        width = max(map(len, self.rows), default=0)
        head = f"{'quantity':{width}}  compared/expected  max error  tolerance"
        lines = [head] + [
            f"{name:{width}}  {f'{row.compared}/{row.expected}':>17}  {row.error:9.1e}  "
            f"{row.tolerance:9.0e}  {'ok' if row.ok else 'FAIL'}"
            for name, row in self.rows.items()
        ]
        for title, items in {
            "lacking": self.lacking,
            "absent": self.absent,
            "not compared": self.unknown,
            f"ties and gaps under {TIE:g}": self.ties,
            "notes": self.notes,
        }.items():
            lines += [f"{title}:", *(f"  {item}" for item in items)] if items else []
        return "\n".join(lines)


class Seed:
    """One golden model and batch, and our model with its weights."""

    def __init__(self, root: Path, method: str):
        self.root, self.method = root, method
        self.inputs = load_file(root / "inputs.safetensors")
        self.meta = json.loads((root / "meta.json").read_text(encoding="utf-8"))
        cfg, length = self.meta["cfg"], METHODS[method]
        self.model = load_released(
            root / method / "weights.safetensors",
            vision_config={"num_attention_heads": cfg["siglip"]["num_attention_heads"]},
            qformer_config={"num_attention_heads": cfg["bert"]["num_attention_heads"]},
            sas_heads=cfg["pooler_heads"],
            multi_word_heads=cfg["agg_heads"],
        ).eval()
        self.queries = self.model.config.num_query_tokens
        owner, images = self.inputs["text_image_index"], self.inputs["images"]
        self.own = F.one_hot(owner, len(images)).T.bool()
        # with one branch, every text goes through it
        is_word = self.inputs["text_is_word"].bool()
        self.words = is_word if self.model.config.multi_word_branch else torch.ones_like(is_word)
        self.batch = {
            "pixel_values": images,
            "input_ids": self.inputs[f"input_ids_len{length}"],
            "attention_mask": self.inputs[f"attention_mask_len{length}"],
            "is_word": is_word,
            "own": self.own,
            "positives": self._positives(owner),
        }
        self.query_ids = self.inputs[f"query_input_ids_len{length}"]
        self.query_mask = self.inputs[f"query_attention_mask_len{length}"]

    def _positives(self, owner: Tensor) -> Tensor:
        """Equal strings, or images of the same id (official.md 10)."""
        lists = [[clean_caption(text) for text in texts] for texts in self.meta["texts"]]
        same_text = torch.tensor([[text in own for t in lists for text in t] for own in lists])
        ids = self.inputs["image_id"]
        return same_text | (ids[:, None] == ids[owner])

    def path(self, name: str) -> Path:
        return self.root / self.method / name

    def train(self, pve_steps: int) -> MstarOutput:
        """The training forward, where sampling takes the largest weight."""
        with patch("torch.multinomial", LargestWeight()):
            return self.model(**self.batch, pve_steps=pve_steps)

    @cached_property
    def looks(self) -> tuple[MstarOutput, Mapping[str, Tensor]]:
        """A forward pass on images and texts with T = 3, and the first look's attention."""
        names = [
            f"pve.0.layers.{layer}.cross_attention"
            for layer in self.model.config.cross_attention_layers
        ]
        inputs = {k: v for k, v in self.batch.items() if k not in ("own", "positives")}
        return self.model.run_with_trace(inputs | {"pve_steps": max(STEPS)}, names=names)


class LargestWeight:
    """Stands in for `torch.multinomial`, as in the run that made the vectors; keeps the weights."""

    def __init__(self):
        self.weights: list[Tensor] = []

    def __call__(self, weights: Tensor, count: int) -> Tensor:
        self.weights.append(weights)
        return weights.argmax(dim=1, keepdim=True)


# What each kind of file of a seed must hold. A value may come with the rows that hang on a tie.
Ours = Mapping[str, Tensor | tuple[Tensor, Tensor]]


def _of_the_whole(value: Tensor) -> Tensor:
    """[B, 1, …] -> [B, …]: the reference has no tiles, and here the whole is all."""
    assert value.shape[1] == 1
    return value[:, 0]


def looks_of(out: MstarOutput) -> list[Look]:
    """The looks as the reference has them, without an axis of tiles."""
    return [
        Look(**{name: _of_the_whole(value) for name, value in vars(look).items()})
        for look in out.images.looks
    ]


def ours_image(seed: Seed, report: Report) -> Ours:
    tokens = _of_the_whole(seed.looks[0].images.tokens)
    return {"visual_output": tokens, "image_embeds": seed.model.vision.project(tokens)}


def ours_qformer(seed: Seed, report: Report) -> Ours:
    out, trace = seed.looks
    model, batch = seed.model, seed.batch
    first = looks_of(out)[0].embeddings
    return {
        "query_output": first,
        "image_feats_raw": model.vision_projection(first),
        "cross_probs_headmean": torch.stack(
            [_of_the_whole(value).mean(1) for value in trace.values()]
        ),
        "text_hidden": model.multimodal.read(batch["input_ids"], batch["attention_mask"]),
        "text_cls": out.texts.embeddings,
        "text_proj_raw": model.text_projection(out.texts.embeddings),
    }


def ours_steps(seed: Seed, report: Report) -> Ours:
    looks, ours = looks_of(seed.looks[0]), {}
    undecided = torch.zeros(len(seed.own), dtype=torch.bool)
    for step, (seen, after) in enumerate(pairwise(looks)):
        where = f"{seed.root.name}/{seed.method} mask of step {step}, image "
        undecided = undecided | undecided_masks(
            where, seen.attention_map, seed.model.config, report
        )
        ours |= {
            f"attn_map_step{step}": seen.attention_map,
            f"sigma_mask_step{step}": (seen.salient, undecided),
            f"history_mask_step{step}": (seen.mask, undecided),
            f"fine_output_step{step}": after.embeddings,
        }
    return ours


def ours_pooled(seed: Seed, report: Report) -> Ours:
    looks = looks_of(seed.looks[0])[1:]
    return {f"pooled_visual_step{step}": look.tokens for step, look in enumerate(looks)}


def ours_train(seed: Seed, report: Report, pve_steps: int) -> Ours:
    out = seed.train(pve_steps)
    return (
        _losses(seed, out)
        | _matching(seed, out, report, pve_steps)
        | _assignments(seed, out, report, pve_steps)
        | (
            _multi_word_similarities(seed, out)
            if seed.model.config.multi_word_branch
            else _word_similarities(seed, out)
        )
    )


def _losses(seed: Seed, out: MstarOutput) -> Ours:
    similarity, positives = out.similarity, seed.batch["positives"]
    config = seed.model.config
    rows = contrastive_loss(
        similarity.v2t, similarity.t2v.T, positives, config.t2v_weight, config.v2t_weight
    )
    return {
        "sim_i2t": similarity.v2t,
        "sim_t2i": similarity.t2v.T,
        "i2t_pos_idx": positives.long(),
        "t2i_pos_idx": positives.T.long(),
        "i2t_sim_targets": soft_targets(positives),
        "t2i_sim_targets": soft_targets(positives.T),
        "loss_i2t_list": rows.v2t,
        "loss_t2i_list": rows.t2v,
        "loss_i2t": rows.v2t.mean(),
        "loss_t2i": rows.t2v.mean(),
        "loss_itc_agg": out.contrastive_loss,
        "loss_itm": out.matching_loss,
        "loss": out.loss,
        "image_output_cat": out.images.embeddings,
    }


def _matching(seed: Seed, out: MstarOutput, report: Report, pve_steps: int) -> Ours:
    similarity, positives = out.similarity, seed.batch["positives"]
    v2t, t2v = similarity.v2t, similarity.t2v.T
    losses = contrastive_loss(v2t, t2v, positives, 1.0, 1.0).t2v
    with patch("torch.multinomial", LargestWeight()) as sampler:
        pairs = matching_pairs(v2t, t2v, losses, positives, seed.own)
    text_weights, image_weights, negative_weights = sampler.weights
    where = f"{seed.root.name}/{seed.method} T = {pve_steps}"
    index = {
        "itm_text_index": text_weights,
        "neg_image_index": image_weights,
        "neg_text_index": negative_weights,
    }
    return {
        name: (weights.argmax(1), report.close_call(f"{where} {name}", _lead(weights)))
        for name, weights in index.items()
    } | {
        "neg_weights_t2i": image_weights,
        "neg_weights_i2t": negative_weights,
        "itm_labels": pairs.labels,
        "itm_logits": out.itm_logits,
    }


def _assignments(seed: Seed, out: MstarOutput, report: Report, pve_steps: int) -> Ours:
    ours = {}
    for image, own in enumerate(seed.own & seed.words):
        if not own.any():
            continue
        cosine = out.similarity.cosine[image, own, : seed.queries]
        columns = out.similarity.assignment[image, own]
        where = f"{seed.root.name}/{seed.method} T = {pve_steps} assignment of image {image}"
        tie = report.close_call(where, assignment_gap(cosine, columns)).expand(len(columns))
        ours |= {
            f"hungarian_cost_img{image}": -cosine,
            f"hungarian_row_img{image}": torch.arange(len(columns)),
            f"hungarian_col_img{image}": (columns, tie),
        }
    return ours


def _word_similarities(seed: Seed, out: MstarOutput) -> Ours:
    cosine, tau, count = out.similarity.cosine, seed.model.temp, seed.queries
    ours = {
        "image_feats_norm": out.images.features[:, :count],
        "text_feat_norm": out.texts.features,
        "sim_q2t": cosine[..., :count],
        "sim_t2q": cosine[..., :count].transpose(0, 1),
    }
    if cosine.shape[2] > count:
        recycled = cosine[..., count:]
        best = recycled.amax(2) / tau
        ours |= {
            "fine_image_feats_norm": out.images.features[:, count:],
            "fine_sim_q2t": recycled,
            "fine_sim_i2t": best,
            "fine_sim_t2i": best.T,
        }
    return ours


def _multi_word_similarities(seed: Seed, out: MstarOutput) -> Ours:
    model, similarity, words = seed.model, out.similarity, seed.words
    cosine, tau, count = similarity.cosine[:, words], model.temp, seed.queries
    first = word_scores(cosine[..., :count], similarity.assignment[:, words]) / tau
    ours = {
        "image_feats_norm": out.images.features,
        "word_text_feat_norm": out.texts.features[words],
        "non_word_text_feat_norm_unused": out.texts.features[~words],
        "word_hug_sim_i2t": first,
        "word_hug_sim_t2i": first.T,
        "word_sim_i2t": similarity.v2t[:, words],
        "word_sim_t2i": similarity.t2v.T[words],
        "non_word_sim_i2t": similarity.v2t[:, ~words],
        "non_word_sim_t2i": similarity.t2v.T[~words],
    }
    if cosine.shape[2] > count:
        recycled = cosine[..., count:].amax(2)
        ours |= {"word_sim_i2t_r_notemp": recycled, "word_sim_t2i_r_notemp": recycled.T}
    texts, features = out.texts.embeddings[~words], out.texts.features[~words]
    groups = [look.embeddings for look in looks_of(out)]
    for step, (conditioned, _) in enumerate(model.aggregator(texts, groups)):
        projected = F.cosine_similarity(model.vision_projection(conditioned), features, dim=-1)
        ours |= {
            f"aggregator_out_step{step}": conditioned,
            f"multi_sim_i2t_step{step}": F.cosine_similarity(conditioned, texts, dim=-1) / tau,
            f"multi_sim_t2i_step{step}": projected.T / tau,
        }
    return ours


def ours_infer(seed: Seed, report: Report, pve_steps: int) -> Ours:
    model = seed.model
    images = model.encode_images(seed.batch["pixel_values"], pve_steps)
    texts = model.encode_texts(seed.query_ids, seed.query_mask)
    scores = model.compare(images, texts, torch.ones(len(seed.query_ids), dtype=torch.bool)).scores
    count = scores.shape[1]
    pair_text, pair_image = torch.cartesian_prod(
        torch.arange(len(scores)), torch.arange(count)
    ).unbind(1)
    logits = model.match(
        images.tokens[pair_image], seed.query_ids[pair_text], seed.query_mask[pair_text]
    ).view(*scores.shape, 2)
    probability = logits.double().softmax(-1)[..., 1]
    best = scores.topk(min(count, 3), dim=1)
    where = f"{seed.root.name}/{seed.method} T = {pve_steps} rerank_top2 of query "
    close = report.close_call(where, -best.values.diff(dim=1)).any(1)
    ours = {
        "score": scores,
        "itm_logits": logits,
        "itm_prob": probability,
        "rerank_top2": (best.indices[:, :2], close),
        "rerank_score": (rerank(scores, probability, 2 / count), close),
    }
    if not model.config.multi_word_branch:
        return ours | {
            "img_out": model.vision_projection(images.embeddings),
            "text_out": model.text_projection(texts.embeddings),
        }
    first = _of_the_whole(images.looks[0].embeddings)
    conditioned = model.aggregator(texts.embeddings, [first])[0].embeddings
    return ours | {
        "img_out": images.embeddings,
        "text_out": texts.embeddings,
        "aggregator_out_step0": conditioned,
        "aggregator_out_step0_proj": model.vision_projection(conditioned),
    }


def _lead(weights: Tensor) -> Tensor:
    """By how much the largest weight of each row leads, relative to it."""
    if weights.shape[1] == 1:
        return torch.ones(len(weights))
    first, second = weights.topk(2, dim=1).values.unbind(1)
    return (first - second) / first


def assignment_gap(cosine: Tensor, columns: Tensor) -> Tensor:
    """By how much an assignment [words] of [words, embeddings] beats the next best one; []."""
    words = torch.arange(len(columns))[columns >= 0]
    best = cosine[words, columns[words]].sum()
    gaps = [torch.tensor(float("inf"))]
    for word in words:
        without = cosine.clone()
        without[word, columns[word]] = -1e3  # no other way is this bad
        other = assign(without)
        taken = (other >= 0).nonzero().flatten()
        gaps.append(best - without[taken, other[taken]].sum())
    return torch.stack(gaps).amin()


def undecided_masks(where: str, maps: Tensor, config: MstarConfig, report: Report) -> Tensor:
    """Which masks of [B, grid_h, grid_w] hang on gaps under `TIE` (of the map's maximum)."""
    flat = (maps / maps.amax((1, 2), keepdim=True)).flatten(1).sort(dim=1).values
    threshold = int(flat.shape[1] * 0.9)
    gaps = [
        flat[:, threshold + 1] - flat[:, threshold],  # what exceeds the threshold
        flat[:, -20] - flat[:, -21],  # what is a seed
    ]
    close = report.close_call(where, torch.stack(gaps).amin(0))
    # rounding to bytes: whether any flip of it moves the mask is seen by trying
    masks, noise = salient_region(maps, config), torch.Generator().manual_seed(0)
    for _ in range(4):
        shift = (2 * torch.rand(maps.shape, generator=noise) - 1) * TIE
        moved = salient_region(maps + shift * maps.amax((1, 2), keepdim=True), config)
        changed = (moved != masks).flatten(1).any(1)
        for image in (changed & ~close).nonzero().flatten().tolist():
            report.ties.append(f"{where}{image}: noise of {TIE:g} changes it")
        close = close | changed
    return close


def compare_file(
    seed: Seed, name: str, ours: Callable[..., Ours], report: Report, *arguments: int
) -> None:
    """One `.safetensors` file of a seed against what our model computes."""
    golden = _load(seed.path(f"{name}.safetensors"), report.lacking)
    kind = re.sub(r"_T\d+$", "", name)
    with torch.no_grad():
        values = ours(seed, report, *arguments)
    for key, value in values.items():
        value, undecided = value if isinstance(value, tuple) else (value, None)
        if golden and key not in golden:
            report.lacking.append(f"{seed.path(name)}: {key}")
        quantity = f"{seed.method} {kind}.{re.sub(r'_(step|img)[0-9]+', '', key)}"
        exact = 0.0 if "mask" in key else None  # masks are floats in the files
        report.compare(quantity, value, golden.get(key), exact, undecided)
    report.unknown += [f"{seed.path(name)}: {key}" for key in golden.keys() - values.keys()]


def compare_gradients(seed: Seed, report: Report) -> None:
    """Gradients of the loss at T = 1, relative to each parameter's largest."""
    golden = _load(seed.path("grads_T1.safetensors"), report.lacking)
    golden = {our_name(name): value for name, value in golden.items()}
    without = {our_name(name) for name in _load(seed.path("grads_T1_none.json"), report.lacking)}
    seed.train(1).loss.backward()
    ours = {name: parameter.grad for name, parameter in seed.model.named_parameters()}
    report.count(
        f"{seed.method} grads_T1: has one or has none",
        ((gradient is None) == (name in without) for name, gradient in ours.items()),
    )
    largest = max((value.abs().max().item() for value in golden.values()), default=1.0)
    for name in sorted(ours.keys() - without | golden.keys()):
        theirs = golden.get(name)
        if theirs is None:
            report.lacking.append(f"{seed.path('grads_T1')}: {name}")
        size = largest if theirs is None else theirs.abs().max().item()
        kind, tolerance = "relative", GRADIENT_TOLERANCE
        if size < ZERO_GRADIENT * largest:
            kind, tolerance, size = "zero but for rounding", ZERO_GRADIENT, largest
        mine = torch.zeros(()) if ours[name] is None else ours[name]
        quantity = f"{seed.method} grads_T1: {kind}"
        report.compare(quantity, mine / size, None if theirs is None else theirs / size, tolerance)


def compare_seed(root: Path, report: Report) -> None:
    """Both methods of one seed."""
    for method in METHODS:
        needed = (root / "inputs.safetensors", root / "meta.json", root / method)
        lacking = [
            path for path in (*needed, needed[2] / "weights.safetensors") if not path.exists()
        ]
        report.lacking += map(str, lacking)
        if lacking:
            continue
        try:
            seed = Seed(root, method)
        except (KeyError, ValueError) as error:
            report.lacking.append(f"{root / method}: {error}")
            continue
        compare_file(seed, "image", ours_image, report)
        compare_file(seed, "qformer", ours_qformer, report)
        compare_file(seed, "steps", ours_steps, report)
        compare_file(seed, "pooled", ours_pooled, report)
        for pve_steps in STEPS:
            compare_file(seed, f"train_T{pve_steps}", ours_train, report, pve_steps)
            compare_file(seed, f"infer_T{pve_steps}", ours_infer, report, pve_steps)
        compare_gradients(seed, report)


def compare_sigma(folder: Path, report: Report) -> None:
    """σ on given maps: `maps_G` with `masks_G` for any grid G."""
    config = MstarConfig.tiny(semantics="released")
    golden = _load(folder / "sigma.safetensors", report.absent)
    for name, maps in golden.items():
        if not name.startswith("maps_"):
            continue
        grid = name.removeprefix("maps_")
        masks = golden[f"masks_{grid}"]
        undecided = undecided_masks(f"sigma map {grid} ", maps, config, report)
        for ours, mask, tie in zip(salient_region(maps, config), masks, undecided, strict=True):
            report.compare(f"sigma.masks_{grid}", ours[None], mask[None], undecided=tie[None])


def compare_hungarian(folder: Path, report: Report) -> None:
    """Assignments with conflicts. Where an image has more texts than queries the released logits
    of its own texts are wrong, and only the assignment is compared."""
    golden = _load(folder / "hungarian.safetensors", report.absent)
    for case in sorted({name.split("_")[0] for name in golden}):
        texts, images = golden[f"{case}_text_feats"], golden[f"{case}_image_feats"]
        counts = golden[f"{case}_lens"]
        own = F.one_hot(torch.arange(len(counts)).repeat_interleave(counts), len(counts)).T.bool()
        cosine = torch.einsum("bse,ne->bns", images, texts)
        assignment = assign_per_image(cosine, own)
        logits = word_scores(cosine, assignment) / TEMPERATURE
        right = ~own | (counts <= images.shape[1])[:, None]
        if not right.all():
            report.notes.append(f"extra hungarian {case}: {int((~right).sum())} logits left out")
        for name, ours in (("sim_i2t", logits), ("sim_t2i", logits.T)):
            kept = right if name == "sim_i2t" else right.T
            theirs = golden[f"{case}_{name}"]
            report.compare(f"extra hungarian.{name}", ours[kept], theirs[kept])
        for image, mine in enumerate(own):
            expected = torch.full((int(counts[image]),), -1)
            expected[golden[f"{case}_row_img{image}"]] = golden[f"{case}_col_img{image}"]
            ours = assignment[image, mine]
            gap = assignment_gap(cosine[image, mine], ours)
            tie = report.close_call(f"extra hungarian {case} image {image}", gap)
            report.compare("extra hungarian.assignment", ours, expected, 0.0, tie.expand(len(ours)))


def compare_preprocessing(folder: Path, report: Report) -> None:
    """Images, position tables and query tokens."""
    golden = _load(folder / "preprocess.safetensors", report.absent)
    for name, value in golden.items():
        if found := re.fullmatch(r"(img\d+)_processed_(\d+)", name):
            pixels = _processor(int(found[2]))(images=[golden[f"{found[1]}_u8_hwc"].numpy()])
            whole = _of_the_whole(pixels["pixel_values"])
            report.compare("extra preprocessing", whole[0], value)
        elif found := re.fullmatch(r"(pos_\d+to(\d+))_out", name):
            ours = resize_positions(golden[f"{found[1]}_in"], int(found[2]))
            report.compare("extra position table", ours, value)
        elif found := re.fullmatch(r"query_out_(\d+)x(\d+)", name):
            (source,) = (k for k in golden if re.fullmatch(rf"query_in_\d+x{found[2]}", k))
            ours = resize_queries(golden[source], int(found[1]))
            report.compare("extra query tokens", ours, value)


def compare_texts(root: Path, report: Report) -> None:
    """Cleaning, prompts and word pieces."""
    for row in _load(root / "extra" / "text.json", report.absent):
        limited = clean_caption(row["raw"], max_words=3)
        same = clean_caption(row["raw"]) == row["processed"]
        report.count("extra text cleaning", [same, limited == row["processed_max_words_3"]])
    if not (root / "vocab_tiny.txt").is_file():
        report.absent.append(str(root / "vocab_tiny.txt"))
        return
    tokenizer = load_tokenizer(root / "vocab_tiny.txt", 12)
    for row in _load(root / "extra" / "tokens.json", report.absent):
        ids = tokenizer(row["text"], padding="max_length", truncation=True)["input_ids"]
        same = tokenizer.tokenize(row["text"]) == row["tokens"]
        report.count("extra word pieces", [same, ids == row["ids12"]])


def _processor(size: int) -> MstarProcessor:
    config = MstarConfig.base(image_size=size, semantics="released")
    return MstarProcessor.for_config(config, character_tokenizer())


def _load(path: Path, missing: list[str]):
    """Tensors or JSON of a file; nothing, and its name under `missing`, if there is none."""
    if not path.is_file():
        missing.append(str(path))
        return {}
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    return load_file(path)


def run(root: Path) -> Report:
    """Compare everything under a root."""
    report = Report()
    seeds = sorted(path for path in root.glob("seed*") if path.is_dir())
    if not seeds:
        report.absent.append(str(root / "seed*"))
    for seed in seeds:
        compare_seed(seed, report)
    compare_sigma(root / "sigma", report)
    compare_hungarian(root / "extra", report)
    compare_preprocessing(root / "extra", report)
    compare_texts(root, report)
    return report


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("root", type=Path, help="a folder laid out like the golden vectors")
    report = run(parser.parse_args(argv).root)
    print(report)
    return report.exit_code


if __name__ == "__main__":
    sys.exit(main())
