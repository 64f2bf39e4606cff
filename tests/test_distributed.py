"""Two processes compute what one computes on the joined batch."""

import time

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from mstar import MstarConfig, MstarModel, distributed
from mstar.errors import UserError
from mstar.model.vision import BatchNorm
from mstar.training.objectives import Objective

IMAGES = 4
RELATIVE, ROUNDING = 1e-5, 1e-6


def still(**changed) -> MstarConfig:
    """A tiny model without dropout."""
    config = MstarConfig.tiny(**changed)
    config.qformer_config.hidden_dropout_prob = 0.0
    config.qformer_config.attention_probs_dropout_prob = 0.0
    return config


CONFIGS = {
    "paper": still(),
    "paper, stem": still(conv_stem=[(8, 2), (8, 2)]),  # its norm is over the batch
    "released": still(semantics="released"),
    "paper, tiles": still(),
}
TEXTS = {"paper": 9, "paper, stem": 5, "released": 7, "paper, tiles": 7}


def model_of(name: str) -> MstarModel:
    torch.manual_seed(0)
    return MstarModel(CONFIGS[name]).train()


def batch_of(texts: int) -> dict[str, torch.Tensor]:
    """`texts` texts of different lengths; the last two are several words."""
    draw = torch.Generator().manual_seed(texts)
    lengths = torch.arange(texts) % 5 + 3
    is_word = torch.arange(texts) < texts - 2
    own = torch.rand(IMAGES, texts, generator=draw) < 0.3
    own[torch.arange(IMAGES), torch.arange(IMAGES) % texts] = True
    return {
        "pixel_values": torch.randn(IMAGES, 3, 64, 64, generator=draw),
        "input_ids": torch.randint(5, 60, (texts, 8), generator=draw),
        "attention_mask": (torch.arange(8)[None] < lengths[:, None]).long(),
        "is_word": is_word,
        "own": own,
    }


def losses_and_gradients(name: str) -> dict[str, torch.Tensor]:
    # in double precision nothing but a mistake is larger than the tolerance
    model, batch = model_of(name).double(), batch_of(TEXTS[name])
    if name.endswith("tiles"):  # the quarters of each image
        quarters = batch["pixel_values"].unfold(2, 32, 32).unfold(3, 32, 32)
        batch["pixel_values"] = quarters.flatten(2, 3).transpose(1, 2)
        batch["unknown"] = batch["own"].roll(1, 0) & ~batch["own"]
    pixels = batch.pop("pixel_values")[distributed.share(IMAGES)].double()
    objective = Objective(model, head=None, assigned_weight=0.7)
    if distributed.processes()[1] > 1:
        objective = DistributedDataParallel(objective, find_unused_parameters=True)
    torch.manual_seed(7)  # the matching pairs are drawn alike
    losses = objective(
        pixel_values=pixels,
        window=None,
        idle_weight=0.5,
        entropy_weight=0.6,
        **batch,
        positives=batch["own"],
        pve_steps=1,
    )
    losses["loss"].backward()
    gradients = {name: value.grad for name, value in model.named_parameters()}
    found = {name: value.detach() for name, value in losses.items()}
    return found | {name: value for name, value in gradients.items() if value is not None}


def gathered() -> dict[str, torch.Tensor]:
    rank, _ = distributed.processes()
    rows = torch.full((3 * rank, 2), float(rank), requires_grad=True)
    every = distributed.gather(rows)  # the first process has none
    (every * torch.arange(6.0).view(3, 2)).sum().backward()
    return {
        "rows": every.detach(),
        "gradient": rows.grad,
        "texts": distributed.gather_lists([f"{rank}{i}" for i in range(2 - rank)]),
        "first": distributed.of_first(torch.full((2 + rank,), rank)),
        "share": [distributed.share(5).start, distributed.share(5).stop],
    }


def norm_state() -> dict[str, torch.Tensor]:
    norm = BatchNorm(3).train()
    values = 5 + 2 * torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    out = norm(values[distributed.share(4)])
    return norm.state_dict() | {"out": distributed.gather(out.detach())}


def agreed() -> dict[str, object]:
    """What the first does for all, and how an error of one ends all."""
    rank, seen = distributed.processes()[0], []

    def failing(of: int) -> str:
        def work() -> None:
            if rank == of:
                raise UserError(f"{of} failed")

        with pytest.raises(UserError) as error:
            distributed.by_first(work) if of == 0 else distributed.together(work)
        return str(error.value)

    def slow() -> int:
        time.sleep(rank)
        return rank

    found = distributed.together(slow, lambda: seen.append(rank)), distributed.by_first(slow)
    return {"found": found, "waited": len(seen), "errors": [failing(0), failing(1)]}


def in_group(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    found = {name: losses_and_gradients(name) for name in CONFIGS}
    found |= {"gather": gathered(), "norm": norm_state(), "agreed": agreed()}
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> list[dict]:
    """What each of two processes found; they start once, as it takes seconds."""
    folder = tmp_path_factory.mktemp("group")
    mp.spawn(in_group, (str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_equal_one_on_the_joined_batch(two_processes, name):
    """Different numbers of texts per process; dropout off, one draw of matching pairs."""
    alone = losses_and_gradients(name)
    assert TEXTS[name] % 2, "the processes read different numbers of texts"
    assert {"loss", "L_c", "L_a", "L_i", "H_C", "L_m"} <= alone.keys()
    for found in two_processes:
        assert found[name].keys() == alone.keys()
        for what, value in alone.items():
            error, size = (found[name][what] - value).abs().max(), value.abs().max()
            if size < ROUNDING:  # a key's bias changes no attention: it has no true gradient
                assert error < ROUNDING, what
            else:
                assert error <= RELATIVE * size, (what, (error / size).item())


def test_gather_tolerates_different_numbers_of_rows(two_processes):
    first, second = (found["gather"] for found in two_processes)
    assert torch.equal(first["rows"], torch.ones(3, 2))
    assert torch.equal(second["rows"], torch.ones(3, 2))
    assert first["gradient"].shape == (0, 2)
    # each process asked for the same, so the owner hears it twice
    assert torch.equal(second["gradient"], 2 * torch.arange(6.0).view(3, 2))
    assert first["texts"] == second["texts"] == ["00", "01", "10"]
    assert torch.equal(first["first"], torch.zeros(2, dtype=torch.long))
    assert torch.equal(second["first"], first["first"]), "and as many as the first has"
    assert (first["share"], second["share"]) == ([0, 2], [2, 5])


def test_what_one_process_says_all_hear(two_processes):
    first, second = (found["agreed"] for found in two_processes)
    assert (first["found"], second["found"]) == ((0, 0), (1, 0))
    assert first["waited"] > 3 > second["waited"]  # the second slept for a second
    assert first["errors"] == second["errors"] == ["0 failed", "1 failed"]


def test_the_norm_of_the_stem_is_over_all_processes(two_processes):
    for name, value in norm_state().items():
        for found in two_processes:
            torch.testing.assert_close(found["norm"][name], value, rtol=1e-6, atol=1e-6)


def test_one_process_gathers_nothing():
    rows = torch.ones(2, 3)
    assert distributed.gather(rows) is rows and distributed.total(rows) is rows
    assert distributed.processes() == (0, 1) and distributed.share(5) == slice(0, 5)
    assert distributed.gather_lists([1]) == [1] and distributed.of_first(rows) is rows
    assert distributed.by_first(lambda: rows) is rows and distributed.together(lambda: 1) == 1


def test_the_loss_under_bf16_autocast_is_compared_in_full_precision():
    model, batch = model_of("paper"), batch_of(TEXTS["paper"])
    torch.manual_seed(7)
    full = model(**batch, pve_steps=1)
    torch.manual_seed(7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(**batch, pve_steps=1)
    assert half.similarity.cosine.dtype == half.loss.dtype == torch.float32
    assert half.loss.item() != full.loss.item()
    assert half.loss.item() == pytest.approx(full.loss.item(), rel=0.05)
    half.loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
