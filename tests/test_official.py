"""Released checkpoints: loading, converting, and the released code's bugs that we do not have."""

import logging
import pickle
from itertools import permutations

import pytest
import torch
from safetensors.torch import save_file

from mstar.cli import __main__ as cli
from mstar.io.checkpoints import load_checkpoint
from mstar.io.released import (
    convert,
    load_released,
    load_tokenizer,
    read_state,
    resize_positions,
    resize_queries,
)
from mstar.io.released_config import infer_config, our_name, released_name
from mstar.model.configuration import MstarConfig
from mstar.model.losses import contrastive_loss
from mstar.model.modeling import MstarModel

LETTERS = [*"abcdefghijklmnopqrstuvwxyz'", "##a", "##b", "photo", "of"]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS]
# which file holds a parameter: the last two columns of keys_*.txt
STAGE_4, STAGE_3 = 4, 5


def small_config(multi_word: bool, **overrides) -> MstarConfig:
    """Small, and with the numbers of heads that a released file implies."""
    sizes = dict(
        vision_config=dict(
            hidden_size=48,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=1,
            image_size=32,
            patch_size=4,
            vision_use_head=False,
        ),
        qformer_config=dict(
            vocab_size=len(VOCABULARY) + 1,
            hidden_size=64,
            num_hidden_layers=4,
            num_attention_heads=1,
            intermediate_size=80,
            max_position_embeddings=40,
            encoder_hidden_size=56,
            cross_attention_frequency=2,
            use_qformer_text_input=True,
        ),
        num_query_tokens=4,
        embed_dim=16,
        semantics="released",
        multi_word_branch=multi_word,
        recycled_temperature=not multi_word,
    )
    return MstarConfig(**(sizes | overrides))


def small_state(multi_word: bool) -> dict[str, torch.Tensor]:
    """A released state dict of random weights, with the keys that nothing uses."""
    generator = torch.Generator().manual_seed(5)
    model = MstarModel(small_config(multi_word))
    state = {
        released_name(name): torch.randn(value.shape, generator=generator) * 0.1
        for name, value in model.state_dict().items()
    }
    unused = {
        "Qformer.bert.embeddings.position_ids": torch.arange(40)[None],
        "visual_encoder.head.probe": torch.zeros(1, 1, 48),
    }
    return state | {"temp": torch.tensor(0.07)} | unused


def released_keys(golden_root, method):
    """name -> (shape, dtype, saved at stage 4, saved at stages 1 to 3) of the full-size model."""
    lines = (golden_root / f"keys_{method}.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {row[0]: row for row in rows}


def merged(row):
    """A released file is stage 4's, completed from stage 3's."""
    return "yes" in row[STAGE_4:]


def same(model, other):
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in model.state_dict().items())


def test_names_are_mapped_one_to_one(golden_root):
    for method in ("word", "mqtr"):
        names = {key: our_name(key) for key in released_keys(golden_root, method)}
        used = {key: name for key, name in names.items() if name is not None}
        assert all(released_name(name) == key for key, name in used.items())
        assert all(
            key.startswith("visual_encoder.head.") or key.endswith("position_ids")
            for key in names.keys() - used.keys()
        )
    assert our_name("temperature") is None


@pytest.mark.parametrize(
    ("method", "chosen", "count"),
    [("word", lambda row: True, 559), ("mqtr", merged, 561)],
)
def test_a_full_size_file_loads_saves_and_reloads(golden_root, tmp_path, method, chosen, count):
    rows = {key: row for key, row in released_keys(golden_root, method).items() if chosen(row)}
    assert len(rows) == count
    state = {}
    for number, (key, row) in enumerate(rows.items()):
        shape = [int(size) for size in row[1].strip("[]").split(",") if size]
        # one stored number each: the file is small, the model is not
        state[key] = torch.tensor(number).to(getattr(torch, row[2])).expand(shape)
    torch.save({"model": state, "epoch": 15, "config": {"run": {}}}, tmp_path / "mstar.pth")
    model = load_released(tmp_path / "mstar.pth")
    for key, value in state.items():
        if (name := our_name(key)) is not None:
            assert (model.get_parameter(name) == value.float()).all(), key
    config = model.config
    assert config.vision_config.image_size == 800 and config.grid_size == 50
    assert (config.num_query_tokens, config.embed_dim, config.pve_steps) == (64, 256, 1)
    assert (config.sas_heads, config.multi_word_heads) == (6, 8)
    assert config.qformer_config.num_attention_heads == 12
    assert config.multi_word_branch == (method == "mqtr")
    model.save_pretrained(tmp_path / "out")
    assert same(model, MstarModel.from_pretrained(tmp_path / "out"))


@pytest.mark.parametrize("method", ["word", "mqtr"])
@pytest.mark.parametrize("kind", ["merged", "stage 3", "stage 4", "stage 4 and 3"])
def test_the_files_of_every_stage_load_save_and_reload(golden_root, tmp_path, caplog, method, kind):
    keys = released_keys(golden_root, method)
    full = small_state(method == "mqtr")
    stage_4 = {key: value for key, value in full.items() if keys[key][STAGE_4] == "yes"}
    stage_3 = {key: value for key, value in full.items() if keys[key][STAGE_3] == "yes"}
    state, vision = {
        "merged": (stage_3 | stage_4, None),
        "stage 3": (stage_3, None),
        "stage 4": (stage_4, None),
        "stage 4 and 3": (stage_4, stage_3),
    }[kind]
    caplog.set_level(logging.INFO, "mstar")
    model = load_released(state, vision=vision, image_size=32 if kind != "stage 4" else 64)
    for key, value in state.items():
        if (name := our_name(key)) is not None:
            assert torch.equal(model.get_parameter(name), value), key
    norm = model.vision.siglip.post_layernorm
    assert (norm.weight == 1).all() and (norm.bias == 0).all()
    assert model.temp.item() == pytest.approx(0.05)
    assert model.config.pve_steps == (0 if kind == "stage 3" else 1)
    assert ("RANDOM" in caplog.text) == (kind == "stage 4")
    assert ("T = 0" in caplog.text) == (kind == "stage 3")
    model.save_pretrained(tmp_path)
    assert same(model, MstarModel.from_pretrained(tmp_path))


def test_unused_keys_are_named_in_a_log_line(caplog):
    caplog.set_level(logging.INFO, "mstar")
    load_released(small_state(False))
    assert "2 unused keys" in caplog.text
    assert "visual_encoder.head.probe" in caplog.text


def test_semantics_are_those_of_the_released_models():
    word, multi = (load_released(small_state(multi)).config for multi in (False, True))
    assert word.semantics == multi.semantics == "released"
    assert (word.multi_word_branch, word.recycled_temperature) == (False, True)
    assert (multi.multi_word_branch, multi.recycled_temperature) == (True, False)
    assert load_released(small_state(True), pve_steps=3).config.pve_steps == 3


@pytest.mark.parametrize("multi_word", [False, True])
def test_the_loaded_model_computes_what_the_saved_one_did(multi_word):
    state = small_state(multi_word)
    original = MstarModel(small_config(multi_word)).eval()
    original.load_state_dict({our_name(k): v for k, v in state.items() if our_name(k)})
    loaded = load_released(state)
    inputs = {
        "pixel_values": torch.randn(2, 3, 32, 32),
        "input_ids": torch.randint(5, 20, (3, 6)),
        "is_word": torch.tensor([True, False, False]),
    }
    with torch.no_grad():
        assert torch.equal(original(**inputs).scores, loaded(**inputs).scores)


def test_the_model_does_not_share_memory_with_the_state_dict():
    state = small_state(False)
    before = state["vision_proj.weight"].clone()
    model = load_released(state)
    with torch.no_grad():
        model.vision_projection.weight.zero_()
    assert torch.equal(state["vision_proj.weight"], before)


def test_half_precision_is_widened(tmp_path):
    state = {key: value.half() for key, value in small_state(False).items()}
    save_file(state, tmp_path / "half.safetensors")
    model = load_released(tmp_path / "half.safetensors")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_position_table_is_resized_to_another_image_size():
    state = small_state(False)
    model = load_released(state, image_size=48)
    table = state["visual_encoder.embeddings.position_embedding.weight"]
    ours = model.vision.siglip.embeddings.position_embedding.weight
    assert torch.equal(ours, resize_positions(table, 12))
    assert model(torch.zeros(1, 3, 48, 48)).images.grid == (12, 12)
    # corners stay where they are
    torch.testing.assert_close(ours[[0, 11, -12, -1]], table[[0, 7, -8, -1]])


def test_the_queries_are_stretched_to_another_count():
    state = small_state(False)
    model = load_released(state, num_query_tokens=7)
    assert torch.equal(model.multimodal.query_tokens, resize_queries(state["query_tokens"], 7))


def spoilt(change):
    state = small_state(True)
    change(state)
    return state


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "no state dict"),
        ({"model": {"a": "b"}}, "'a' is str"),
        ({"a": torch.ones(2)}, "8 of 8 parameters are missing: query_tokens, Qformer.bert"),
        (
            spoilt(lambda s: [s.pop(k) for k in list(s) if ".layer.2." in k]),
            "missing: Qformer.bert.encoder.layer.",
        ),
        (spoilt(lambda s: s.pop("aggregator.layer_norm2.bias")), "missing: aggregator.layer_norm2"),
        (
            spoilt(lambda s: s.pop("latePooler.pooler_attention.self.key.bias")),
            "1 of .* missing: latePooler.pooler_attention.self.key.bias",
        ),
        (spoilt(lambda s: s.update({"itm_head.bias": torch.ones(3)})), r"itm_head.bias .* \[2\]"),
        (spoilt(lambda s: s.update({"itm_head.other": torch.ones(3)})), "no place"),
        (spoilt(lambda s: s.update(query_tokens=torch.ones(3))), "query_tokens .* 3 dimensions"),
        (
            spoilt(
                lambda s: s.update(
                    {"visual_encoder.embeddings.position_embedding.weight": torch.ones(65, 48)}
                )
            ),
            "square grid",
        ),
        (
            spoilt(
                lambda s: s.update(
                    {
                        "Qformer.bert.embeddings.word_embeddings.weight": torch.ones(1, 1).expand(
                            10**9, 64
                        )
                    }
                )
            ),
            "vocab_size must be 1048576 or less; got 1000000000",
        ),
    ],
)
def test_a_wrong_file_is_one_clear_sentence(source, message):
    with pytest.raises(ValueError, match=message) as error:
        load_released(source)
    assert "\n" not in str(error.value)


class Danger:
    """Pickled, it would run code when read."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


def test_files_that_are_no_checkpoints_are_refused_and_nothing_is_executed(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("hello")
    (tmp_path / "code.pth").write_bytes(pickle.dumps(Danger(), protocol=2))
    torch.save({"model": small_state(False), "config": Danger()}, tmp_path / "zip.pth")
    whole = tmp_path / "whole.pth"
    torch.save({"model": small_state(False)}, whole)
    (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:5000])
    for name in ("text.pth", "empty.pth", "text.safetensors", "code.pth", "zip.pth", "cut.pth"):
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            read_state(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        read_state(tmp_path / "none.pth")


def test_a_seed_of_sizes_is_read_from_shapes():
    state = {our_name(k): v for k, v in small_state(True).items() if our_name(k)}
    config = infer_config(state)
    for name in ("num_query_tokens", "embed_dim", "multi_word_branch", "recycled_temperature"):
        assert getattr(config, name) == getattr(small_config(True), name), name
    for part in ("vision_config", "qformer_config"):
        expected = getattr(small_config(True), part).to_dict()
        assert getattr(config, part).to_dict() == expected
    with pytest.raises(ValueError, match="image_size"):
        infer_config(state, 0)


@pytest.mark.parametrize("trained", [False, True])
def test_the_last_norm_and_tau_stay_frozen_through_a_folder(tmp_path, trained):
    config = small_config(False, train_last_norm=trained, learn_temperature=trained)
    MstarModel(config).save_pretrained(tmp_path)
    for model in (MstarModel(config), MstarModel.from_pretrained(tmp_path)):
        norm = model.vision.siglip.post_layernorm
        assert norm.weight.requires_grad == norm.bias.requires_grad == trained
        assert model.temp.requires_grad == trained


def test_presets_freeze_the_last_norm_as_released():
    assert MstarConfig.tiny().train_last_norm
    assert not MstarConfig.tiny(semantics="released").train_last_norm


# Converting


@pytest.fixture
def vocabulary(tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize(("multi_word", "tokens"), [(False, 12), (True, 32)])
def test_convert_makes_a_folder_that_loads(tmp_path, vocabulary, capsys, multi_word, tokens):
    state = small_state(multi_word)
    torch.save({"model": state}, tmp_path / "mstar.pth")
    out = tmp_path / "new" / "mstar"
    arguments = ["convert", str(tmp_path / "mstar.pth"), str(out), "--tokenizer", str(vocabulary)]
    assert cli.main(arguments) == 0
    assert f"saved {out}" in capsys.readouterr().out
    bench = load_checkpoint(out)
    model, processor = bench.model, bench.processor
    assert same(model, load_released(state))
    assert processor.prompts == "released"
    assert processor.tokenizer.convert_tokens_to_ids("[DEC]") == len(VOCABULARY)
    with pytest.warns(UserWarning, match=f"longer than the {tokens} tokens"):
        ids = processor(text=["A" * 3, "b " * 50], styles="word")["input_ids"]
    assert ids.shape == (2, tokens)
    assert cli.main(arguments) == 2
    assert "there already" in capsys.readouterr().err


def test_convert_says_what_is_wrong_and_leaves_nothing(tmp_path, vocabulary, capsys):
    torch.save({"model": {"a": torch.ones(1)}}, tmp_path / "wrong.pth")
    torch.save({"model": small_state(False)}, tmp_path / "right.pth")
    short = tmp_path / "short"
    short.mkdir()
    (short / "vocab.txt").write_text("\n".join(VOCABULARY[:9]) + "\n", encoding="utf-8")
    before = sorted(tmp_path.iterdir())
    for file, tokenizer, message in (
        ("wrong.pth", vocabulary, "are missing: query_tokens"),
        ("none.pth", vocabulary, "no checkpoint"),
        ("right.pth", tmp_path / "nowhere", "vocab.txt of bert-base-uncased"),
        ("right.pth", "bert-base-nowhere", "its name on the hub together with leave"),
        ("right.pth", short, f"has 10 pieces, the checkpoint {len(VOCABULARY) + 1}"),
    ):
        path = str(tmp_path / file)
        assert cli.main(["convert", path, str(tmp_path / "o"), "--tokenizer", str(tokenizer)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("mstar: error: ") or "\nmstar: error: " in error
        assert message in error and "Traceback" not in error
    assert sorted(tmp_path.iterdir()) == before


def test_a_tokenizer_folder_may_hold_tokenizer_json(tmp_path, vocabulary):
    first = load_tokenizer(vocabulary, 12)
    first.save_pretrained(tmp_path / "saved")
    second = load_tokenizer(tmp_path / "saved", 12)
    file = load_tokenizer(vocabulary / "vocab.txt", 12)
    assert len(first) == len(second) == len(file) == len(VOCABULARY) + 1
    text = "a photo of 'ab'"
    assert first(text)["input_ids"] == second(text)["input_ids"] == file(text)["input_ids"]


def test_convert_takes_a_state_dict(tmp_path, vocabulary):
    convert(small_state(False), tmp_path / "out", vocabulary, image_size=48)
    processor = load_checkpoint(tmp_path / "out").processor
    assert processor.image_processor.size["height"] == 48


# What the released code cannot do, or does wrongly (official.md 15)


def released(multi_word: bool) -> MstarModel:
    torch.manual_seed(2)
    config = MstarConfig.tiny(
        semantics="released", multi_word_branch=multi_word, recycled_temperature=not multi_word
    )
    return MstarModel(config).eval()


def training_batch(lists: list[list[int]], is_word: list[bool]) -> dict:
    """Images whose texts are numbers into `is_word`."""
    generator = torch.Generator().manual_seed(7)
    own = torch.zeros(len(lists), len(is_word), dtype=torch.bool)
    for image, texts in enumerate(lists):
        own[image, texts] = True
    return {
        "pixel_values": torch.randn(len(lists), 3, 64, 64, generator=generator),
        "input_ids": torch.randint(1, 60, (len(is_word), 6), generator=generator),
        "is_word": torch.tensor(is_word),
        "own": own,
    }


def assert_trains(model, out):
    assert torch.isfinite(out.loss)
    out.loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert torch.isfinite(parameter.grad).all(), name
    assert model.multimodal.query_tokens.grad.abs().sum() > 0


@pytest.mark.parametrize("multi_word", [False, True])
def test_more_texts_than_queries(multi_word):
    """The released code pairs the first Q texts with whatever columns the solver returns."""
    model = released(multi_word)
    out = model(**training_batch([list(range(6)), [6, 7]], [True] * 8), pve_steps=1)
    similarity, queries = out.similarity, model.config.num_query_tokens
    cosine, chosen = similarity.cosine[0, :6, :queries].detach(), similarity.assignment[0, :6]
    assigned = (chosen >= 0).nonzero().flatten()
    assert len(assigned) == queries == len(set(chosen[assigned].tolist()))
    best = max(
        sum(cosine[word, query].item() for query, word in enumerate(words))
        for words in permutations(range(6), queries)
    )
    assert cosine[assigned, chosen[assigned]].sum().item() == pytest.approx(best, abs=1e-5)
    expected = cosine.amax(1)  # a text that is left over: its best query
    expected[assigned] = cosine[assigned, chosen[assigned]]
    recycled = similarity.cosine[0, :6, queries:].detach().amax(1)
    if model.config.recycled_temperature:
        recycled = recycled / model.temp
    logits = torch.maximum(expected / model.temp, recycled)
    torch.testing.assert_close(similarity.v2t[0, :6].detach(), logits.detach())
    assert_trains(model, out)


@pytest.mark.parametrize("lonely", [0, 3], ids=["one word", "one multi-word text"])
def test_a_single_text_of_its_kind(lonely):
    """The released multi-query model crashes; here it gets what it gets in larger company."""
    model = released(True)
    kinds = [True, True, False, False]
    company = training_batch([[0, 2], [1, 3]], kinds)
    alone = [text for text in range(4) if text == lonely or kinds[text] != kinds[lonely]]
    batch = company | {key: company[key][alone] for key in ("input_ids", "is_word")}
    batch["own"] = company["own"][:, alone]
    with torch.no_grad():
        expected = model(**company, pve_steps=2).similarity
    out = model(**batch, pve_steps=2)
    for name in ("v2t", "t2v"):
        ours = getattr(out.similarity, name).detach()
        torch.testing.assert_close(ours, getattr(expected, name)[:, alone])
    assert_trains(model, out)


@pytest.mark.parametrize("multi_word", [False, True])
def test_an_image_without_text(multi_word):
    """The released code crashes; here the image is a negative and no more."""
    model = released(multi_word)
    batch = training_batch([[0, 1], [], [2, 3]], [True, False, True, True])
    out = model(**batch, pve_steps=1)
    v2t, t2v = out.similarity.v2t, out.similarity.t2v.T
    rows = contrastive_loss(v2t, t2v, batch["own"], 1.0, 1.0)
    config = model.config
    expected = config.t2v_weight * rows.t2v.mean() + config.v2t_weight * rows.v2t[[0, 2]].mean()
    torch.testing.assert_close(out.contrastive_loss, expected)
    assert (out.similarity.assignment[1] == -1).all()
    assert out.itm_logits.shape == (6, 2)  # two images with text, three pairs each
    assert_trains(model, out)


@pytest.mark.parametrize("multi_word", [False, True])
def test_one_image_with_one_text(multi_word):
    model = released(multi_word)
    out = model(**training_batch([[0]], [True]), pve_steps=1)
    assert out.itm_logits.shape == (1, 2)  # there is no negative to draw
    assert_trains(model, out)


@pytest.mark.parametrize("multi_word", [False, True])
def test_a_batch_without_any_text_on_an_image(multi_word):
    model = released(multi_word)
    out = model(**training_batch([[], []], [True, False]), pve_steps=1)
    assert out.loss.item() == 0
