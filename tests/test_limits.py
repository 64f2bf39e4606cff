"""Numbers that were mistyped: each is refused at once, and what may be asked is said."""

import time
import tracemalloc

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.preprocessing import normalize

from mstar import MstarConfig, MstarModel
from mstar.cli import __main__ as cli
from mstar.errors import UserError
from mstar.hooks.points import HookError
from mstar.reports.table import REPORTS
from mstar.training.batching import similar

HUGE = 10**9


@pytest.fixture(autouse=True)
def at_once():
    begun = time.process_time()
    yield
    assert time.process_time() - begun < 10


@pytest.mark.parametrize("value", [0, -1, HUGE, 10**30])
@pytest.mark.parametrize(
    "name",
    [
        "num_query_tokens", "embed_dim", "sas_heads", "multi_word_heads",
        *(f"vision_config.{name}" for name in (
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "image_size", "patch_size", "num_channels")),
        *(f"qformer_config.{name}" for name in (
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "vocab_size", "max_position_embeddings", "cross_attention_frequency",
            "encoder_hidden_size")),
    ],
)  # fmt: skip
def test_a_size_that_no_model_has_is_refused(name, value):
    sizes = MstarConfig.tiny().to_dict()
    part, _, field = name.rpartition(".")
    (sizes[part] if part else sizes)[field] = value
    with pytest.raises(ValueError, match=f"{field} must be .* got {value}|multiple of the patch"):
        MstarConfig(**sizes)


def test_sizes_that_are_too_many_together_are_refused():
    wide = dict(hidden_size=2**16, intermediate_size=2**16, num_hidden_layers=200)
    vision = MstarConfig.tiny().vision_config.to_dict()
    with pytest.raises(UserError, match=r"may have 4 billion weights; .* GiB"):
        MstarConfig.tiny(vision_config=vision | wide)
    with pytest.raises(UserError, match="256 tokens along a side; got 2048"):
        MstarConfig.tiny(vision_config=vision | dict(image_size=8192, patch_size=4))
    with pytest.raises(UserError, match="channels of conv_stem must be 8192 or less"):
        MstarConfig.tiny(conv_stem=[(HUGE, 4)])
    with pytest.raises(UserError, match="4 billion weights"):
        MstarConfig.tiny(conv_stem=[(2**13, 1)] * 10 + [(2**13, 4)])


@pytest.mark.parametrize("sizes", [MstarConfig.tiny, MstarConfig.sandbox, MstarConfig.photographs])
def test_weights_are_estimated_well_enough(sizes):
    config = sizes()
    counted = sum(value.numel() for value in MstarModel(config).parameters())
    assert counted / 3 < config._weights() < counted * 3


@pytest.mark.parametrize(
    "name",
    [
        "pve.300000.mask",
        "pve.9999999999.mask",
        "vision.layers.300000.hidden",
        f"pve.{'9' * 500}.x",
    ],
)
def test_a_point_that_no_model_has_is_answered_at_once(tiny, name):
    begun = time.process_time()
    with pytest.raises(HookError), tiny.hooks({name: lambda value, point: value}):
        pass
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["index", "photos", "out", "--pve-steps"],
        ["index", "photos", "out", "--batch-size"],
        ["search", "gallery", "exit", "--top"],
        ["sandbox", "--scenes"],
        ["train", "--threads"],
        ["train", "--workers"],
        ["train", "--keep"],
        ["train", "--seed"],
        ["evaluate", "sandbox", "--scenes"],
        ["evaluate", "sandbox", "--pve-steps"],
        ["evaluate", "benchmark", "sandbox-easy", "--scenes"],
        ["evaluate", "benchmark", "sandbox-easy", "--seed"],
        ["evaluate", "salience", "--scenes"],
        ["evaluate", "patching", "--scenes"],
        ["evaluate", "semantics", "--scenes"],
        ["evaluate", "importance", "heads", "--per-style"],
    ],
)
@pytest.mark.parametrize("value", [10**10, 10**25])
def test_an_option_that_was_mistyped_is_refused(arguments, value, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    if arguments[1:] == ["gallery", "exit", "--top"] and value == 10**10:
        value = 10**19
    assert cli.main([*arguments, str(value)]) == 2
    assert f"got {value}" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


@pytest.mark.parametrize(
    ("report", "name"),
    [
        (report, name)
        for report, names in {
            "image": ("pve_steps", "size", "seed"),
            "retrieval": ("scenes", "shown", "seed", "pve_steps"),
            "compare": ("scenes", "shown", "seed"),
            "ablation": ("query_tokens", "scenes", "parent_steps", "steps", "gallery"),
        }.items()
        for name in names
    ],
)
def test_a_parameter_of_a_report_that_was_mistyped_is_refused(report, name, tmp_path):
    with pytest.raises(UserError, match=rf"got {8 * HUGE}"):
        REPORTS[report].parameters.checked({name: 8 * HUGE, "out": str(tmp_path / "out")})


def test_look_alikes_of_many_words_take_little_memory():
    """The same as of all pairs at once, whose matrix alone takes 200 MB."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    words = tuple({"".join(rng.choice(letters, rng.integers(3, 12))) for _ in range(5100)})[:5000]
    tracemalloc.start()
    try:
        found = similar(words)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20
    counts = CountVectorizer(analyzer="char_wb", ngram_range=(1, 2), binary=True)
    shared = normalize(counts.fit_transform(words))
    for row in (0, 511, 512, 4999):
        alike = (shared[row] @ shared.T).toarray()[0]
        alike[row] = -1
        expected = np.argsort(-alike, kind="stable")[:8]
        assert found[words[row]] == tuple(words[i] for i in expected)
