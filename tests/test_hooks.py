"""The contract of hook points, on the running model."""

import copy
import threading
import warnings

import pytest
import torch

from mstar import MstarConfig, MstarModel
from mstar.hooks.points import POINTS, HookError, find_point, point_names
from mstar.hooks.record import estimate_bytes
from mstar.hooks.run import Run, active, listening

STEPS = 2
NAMES = point_names(MstarConfig.tiny(), STEPS)

#: The rows that cannot be replaced at every t, and why.
RECORDS_ONLY = {f"pve.{STEPS}.mask": f"it is look T = {STEPS}, and no look comes after it",
                "mim.evidence": "it says what counted"}  # fmt: skip

#: Where a replacement shows when it does not reach `scores`.
DOWNSTREAM = {
    f"pve.{STEPS}.attention_map": f"pve.{STEPS}.salient",
    f"pve.{STEPS}.salient": f"pve.{STEPS}.mask",
    "itm.layers.0.cross_attention": "itm.logits",
    "itm.layers.2.cross_attention": "itm.logits",
    "itm.logits": "itm.logits",
}

#: Sizes of the fixtures, by axis: B = 2, V = 1, N = 16 · 16, Q = 4, (T+1)·V·Q = 12, three pairs.
SHAPES = {
    "vision.layers.{l}.hidden": (2, 1, 256, 32),
    "vision.tokens": (2, 1, 256, 32),
    "pve.{t}.sas_attention": (2, 1, 2, 256, 256),
    "pve.{t}.tokens": (2, 1, 256, 32),
    "pve.{t}.layers.{l}.self_attention": (2, 1, 2, 4, 4),
    "pve.{t}.layers.{l}.cross_attention": (2, 1, 2, 4, 256),
    "pve.{t}.layers.{l}.hidden": (2, 1, 4, 32),
    "pve.{t}.embeddings": (2, 1, 4, 32),
    "pve.{t}.features": (2, 1, 4, 16),
    "pve.{t}.attention_map": (2, 1, 16, 16),
    "pve.{t}.salient": (2, 1, 16, 16),
    "pve.{t}.mask": (2, 1, 16, 16),
    "text.layers.{l}.self_attention": (3, 2, 10, 10),
    "text.layers.{l}.hidden": (3, 10, 32),
    "text.embeddings": (3, 32),
    "text.features": (3, 16),
    "mim.similarity": (2, 3, 12),
    "mim.assignment": (2, 3),
    "mim.aggregator_attention": (2, 3, 2, 12),
    "mim.evidence": (2, 3, 12),
    "scores": (3, 2),
    "itm.layers.{l}.cross_attention": (3, 1, 2, 4, 256),
    "itm.logits": (3, 2),
}


@pytest.fixture
def full(inputs):
    """Inputs that reach every point."""
    return inputs | {"pve_steps": STEPS, "pairs": torch.tensor([[0, 0], [1, 2], [0, 2]])}


@pytest.fixture
def model(tiny):
    return tiny.model


def plain(model, inputs):
    with torch.no_grad():
        return model(**inputs)


def other(name, value):
    """A value of the same kind that differs from this one."""
    if value.dtype == torch.bool:
        return ~value
    if name.endswith(".mask"):
        return 1 - value
    if name.endswith(".features"):
        return 10 * value
    return value.roll(1, -1)


def replace(value, *, point):
    return other(point, value)


@pytest.fixture
def recorded(model, full):
    return model.run_with_trace(full, "*")


# The table


def test_every_row_is_reached_and_nothing_else(model, recorded):
    trace = recorded[1]
    assert set(trace) == set(model.hook_points(STEPS)) == set(NAMES)
    assert {find_point(name).name for name in trace} == set(POINTS) == set(SHAPES)
    for name in trace:
        rows = [p for p in POINTS.values() if p.pattern.fullmatch(name)]
        assert len(rows) == 1, f"{name} is in several rows"


def test_axes_and_sizes_are_those_of_the_table(model, full, recorded):
    for name, value in recorded[1].items():
        point = find_point(name)
        assert tuple(value.shape) == SHAPES[point.name], name
        assert len(point.axes) == value.ndim == len(point.sizes or point.axes), name
        expected = value.numel() * value.element_size()
        assert estimate_bytes(model, full, [name], STEPS) == expected, name


def test_axes_agree_on_an_oblong_image(model):
    out, trace = model.run_with_trace({"pixel_values": torch.randn(1, 3, 32, 128)}, "*.mask")
    assert out.images.grid == trace.grid == (8, 32)
    assert trace.stack("pve.*.mask").shape == (2, 1, 1, 8, 32)


def test_steps_are_the_configurations_unless_given(model):
    assert model.hook_points() == model.hook_points(model.config.pve_steps)
    assert not [name for name in model.hook_points(0) if name.startswith("pve.1")]


def test_only_points_that_the_inputs_reach_can_be_asked_for(model, inputs):
    with pytest.raises(HookError, match=r"no hook point is called 'itm.logits'"):
        model.run_with_trace(inputs, "itm.logits")
    texts = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    out, trace = model.run_with_trace(texts)
    assert list(trace) == ["text.embeddings", "text.features"] and trace.grid is None
    assert out.images is None


# Recording


@pytest.mark.parametrize(
    "names", [None, lambda name: "sas_attention" not in name], ids=["default", "all but S's"]
)
def test_a_run_that_only_records_is_a_plain_run(model, full, names):
    expected = plain(model, full)
    out, trace = model.run_with_trace(full, names)
    assert names is None or "pve.0.layers.0.cross_attention" in trace
    for name in ("scores", "itm_logits"):
        assert torch.equal(getattr(out, name), getattr(expected, name)), name
    for ours, theirs in zip(out.images.looks, expected.images.looks, strict=True):
        assert all(torch.equal(getattr(ours, k), value) for k, value in vars(theirs).items())


def test_asking_for_the_attention_of_s_changes_the_last_bits_at_most(model, full):
    out, trace = model.run_with_trace(full, "pve.*.sas_attention")
    torch.testing.assert_close(out.scores, plain(model, full).scores, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(trace["pve.1.sas_attention"].sum(-1), torch.ones(2, 1, 2, 256))


def test_the_record_is_what_the_output_holds(recorded):
    out, trace = recorded
    assert torch.equal(trace["scores"], out.scores)
    assert torch.equal(trace["mim.similarity"], out.similarity.cosine)
    assert torch.equal(trace["mim.assignment"], out.similarity.assignment)
    assert torch.equal(trace["itm.logits"], out.itm_logits)
    for t, look in enumerate(out.images.looks):
        for name in ("tokens", "embeddings", "attention_map", "salient", "mask"):
            assert torch.equal(trace[f"pve.{t}.{name}"], getattr(look, name))


def test_the_attention_map_is_the_mean_of_the_cross_attention(recorded):
    _, trace = recorded
    for t in range(STEPS + 1):
        maps = trace.stack(f"pve.{t}.layers.*.cross_attention").mean(dim=(0, 3, 4))
        torch.testing.assert_close(maps, trace[f"pve.{t}.attention_map"].flatten(2))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("pve.1.mask", ["pve.1.mask"]),
        ("pve.*.mask", ["pve.0.mask", "pve.1.mask", "pve.2.mask"]),
        (["scores", "pve.[01].mask"], ["pve.0.mask", "pve.1.mask", "scores"]),
        (lambda name: name.startswith("text.e"), ["text.embeddings"]),
        ([], []),
    ],
    ids=["exact", "glob", "list", "predicate", "nothing"],
)
def test_names(model, full, names, expected):
    assert list(model.run_with_trace(full, names)[1]) == expected


def test_values_are_detached_copies_on_the_cpu(model, full):
    pixels = full["pixel_values"].clone().requires_grad_()
    out, trace = model.run_with_trace(full | {"pixel_values": pixels})
    assert not any(value.requires_grad for value in trace.values())
    assert {value.device.type for value in trace.values()} == {"cpu"}
    trace["scores"].zero_()
    assert out.scores.abs().sum() > 0


def test_without_detach_the_graph_is_kept(model, full):
    name = "pve.0.layers.0.cross_attention"
    out, trace = model.run_with_trace(full, name, detach=False)
    (gradient,) = torch.autograd.grad(out.scores.sum(), trace[name])
    assert gradient.shape == trace[name].shape and gradient.abs().sum() > 0


def test_a_trace_over_the_budget_is_refused_before_anything_runs(model, full, monkeypatch):
    monkeypatch.setattr(model, "encode_images", lambda *_: pytest.fail("the model ran"))
    with pytest.raises(HookError, match=r"take 2\.0 MiB, the budget is 1\.0 MiB"):
        model.run_with_trace(full, "pve.*.sas_attention", budget=2**20)


def test_the_seed_is_used_and_recorded(model, full):
    _, trace = model.run_with_trace(full, "scores", seed=7)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    assert trace.meta["seed"] == 7 and torch.equal(drawn, torch.rand(1))


# Off means free


def test_off_means_no_call(model, full, monkeypatch):
    def never(*_, **__):
        pytest.fail("a listener was made or called although nobody listens")

    monkeypatch.setattr(Run, "__call__", never)
    monkeypatch.setattr(Run, "__init__", never)
    assert active(model) is None
    own = torch.tensor([[True, False, False], [False, True, True]])
    model(**full, own=own)


# Interventions


@pytest.mark.parametrize("name", NAMES)
def test_a_replacement_has_an_effect(model, full, recorded, name):
    if name in RECORDS_ONLY:
        with model.hooks({name: replace}), pytest.raises(HookError, match=RECORDS_ONLY[name]):
            plain(model, full)
        return
    if name == "mim.assignment":  # decides nothing at inference: see the next test
        return
    shows = DOWNSTREAM.get(name, "scores")
    _, before = recorded
    with model.hooks({name: replace}):
        _, after = model.run_with_trace(full, [name, shows])
    assert not torch.equal(after[name], before[name])
    assert not torch.equal(after[shows], before[shows])


def test_a_replaced_assignment_changes_the_loss(model, full):
    full = full | {"own": torch.tensor([[True, True, False], [False, True, True]])}
    before = plain(model, full)

    def another(value, *, point):
        return torch.where(value >= 0, (value + 1) % 12, value)

    with model.hooks({"mim.assignment": another}):
        after = plain(model, full)
    assert not torch.equal(after.similarity.v2t, before.similarity.v2t)
    assert after.contrastive_loss != before.contrastive_loss
    assert torch.equal(after.images.embeddings, before.images.embeddings)


@pytest.mark.parametrize("t", range(STEPS))
def test_a_mask_acts_from_its_step_on(model, full, recorded, t):
    _, before = recorded
    with model.hooks({f"pve.{t}.mask": replace}):
        _, after = model.run_with_trace(full, "pve.*")
    for k in range(STEPS + 1):
        same = torch.equal(before[f"pve.{k}.tokens"], after[f"pve.{k}.tokens"])
        assert same == (k <= t)


def test_a_forced_mask_is_what_s_cannot_see(model, full):
    def left_half(value, *, point):
        value = torch.ones_like(value)
        value[..., :8] = 0
        return value

    with model.hooks({"pve.0.mask": left_half}):
        _, trace = model.run_with_trace(full, ["pve.1.sas_attention", "pve.1.mask"])
    keys = trace["pve.1.sas_attention"].sum(dim=(0, 1, 2, 3)).view(16, 16)
    assert (keys[:, :8] == 0).all() and (keys[:, 8:] > 0).all()
    assert (trace["pve.1.mask"][..., :8] == 0).all(), "the history holds the forced mask"


def test_interventions_run_first_then_the_record(model, full):
    seen = []

    def zero(value, *, point):
        seen.append(point)
        return torch.zeros_like(value)

    with model.hooks({"pve.*.features": zero}):
        _, trace = model.run_with_trace(full, "pve.*.features")
    assert seen == [f"pve.{t}.features" for t in range(STEPS + 1)]
    assert (trace.stack("pve.*.features") == 0).all()


def test_none_leaves_the_value(model, full):
    with model.hooks({"*": lambda value, *, point: None}):
        out = plain(model, full)
    torch.testing.assert_close(out.scores, plain(model, full).scores, rtol=1e-4, atol=1e-5)


def test_several_hooks_on_one_point_run_in_order(model, full):
    functions = {
        "pve.0.features": lambda value, *, point: torch.ones_like(value),
        "pve.?.features": lambda value, *, point: value + 1,
    }
    with model.hooks(functions):
        _, trace = model.run_with_trace(full, "pve.0.features")
    assert (trace["pve.0.features"] == 2).all()


def test_nested_blocks_both_act_the_outer_first(model, full):
    order = []

    def note(label):
        return lambda value, *, point: order.append(label)

    with model.hooks({"scores": note("outer")}):
        with model.hooks({"scores": note("inner")}):
            plain(model, full)
        assert order == ["outer", "inner"]
        plain(model, full)
    assert order == ["outer", "inner", "outer"]


# Errors


@pytest.mark.parametrize("use", ["hooks", "trace"])
def test_an_unknown_name_lists_near_matches(model, full, use):
    with pytest.raises(HookError, match=r"'pve.0.maks'; near matches: pve.0.mask"):
        if use == "trace":
            model.run_with_trace(full, "pve.0.maks")
        else:
            with model.hooks({"pve.0.maks": replace}):
                pytest.fail("the block was entered")


def test_a_name_like_no_other_points_at_the_list(model, full):
    with pytest.raises(HookError, match=r"model.hook_points\(\) lists them all"):
        model.run_with_trace(full, "zzzzzz")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda v: v[:1], r"pve.0.embeddings must keep shape \[2, 1, 4, 32\]; got \[1, 1, 4, 32\]"),
        (lambda v: v.double(), "pve.0.embeddings must keep dtype torch.float32; got torch.float64"),
        (lambda v: v.to("meta"), "pve.0.embeddings must keep device cpu; got meta"),
        (lambda v: v.numpy(), "pve.0.embeddings must return a tensor or None; got ndarray"),
        (lambda v: 1.0, "pve.0.embeddings must return a tensor or None; got float"),
    ],
    ids=["shape", "dtype", "device", "array", "number"],
)
def test_a_wrong_replacement_names_point_expected_and_got(model, full, wrong, message):
    with (
        model.hooks({"pve.0.embeddings": lambda value, *, point: wrong(value)}),
        pytest.raises(HookError, match=message),
    ):
        plain(model, full)


def test_the_last_mask_may_be_listened_to(model, full):
    seen = []
    with model.hooks({f"pve.{STEPS}.mask": lambda value, *, point: seen.append(point)}):
        plain(model, full)
    assert seen == [f"pve.{STEPS}.mask"]


@pytest.mark.parametrize("t", [0, 1])
def test_the_last_mask_is_last_for_the_steps_of_the_call(model, inputs, t):
    with model.hooks({f"pve.{t}.mask": replace}):
        plain(model, inputs | {"pve_steps": t + 1})
        with pytest.raises(HookError, match=f"look T = {t}"):
            plain(model, inputs | {"pve_steps": t})


def test_a_hook_that_never_fired_says_so(model, full):
    with (
        pytest.warns(UserWarning, match=r"'itm.logits' never fired"),
        model.hooks({"itm.logits": replace, "scores": replace}),
    ):
        plain(model, {name: value for name, value in full.items() if name != "pairs"})


def test_an_error_is_not_buried_under_a_warning(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(KeyError, match="mine"), model.hooks({"scores": replace}):
            raise KeyError("mine")


# Nothing survives the block


def leave_well(model, full):
    with model.hooks({"scores": replace}):
        plain(model, full)


def leave_by_bad_input(model, full):
    with pytest.raises(ValueError, match="multiple"), model.hooks({"scores": replace}):
        model(pixel_values=torch.zeros(1, 3, 63, 64))
    with pytest.raises(ValueError, match="multiple"):
        model.run_with_trace(full | {"pixel_values": torch.zeros(2, 3, 63, 64)})


def leave_by_an_exception(model, full):
    with pytest.raises(KeyError), model.hooks({"scores": replace}):
        raise KeyError("in the block")


def leave_by_an_exception_in_a_hook(model, full):
    def broken(value, *, point):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), model.hooks({"pve.1.layers.2.cross_attention": broken}):
        plain(model, full)


@pytest.mark.parametrize(
    "leave",
    [leave_well, leave_by_bad_input, leave_by_an_exception, leave_by_an_exception_in_a_hook],
)
def test_nothing_survives_the_block(model, full, leave):
    before = plain(model, full).scores
    attributes = {id(module): set(vars(module)) for module in model.modules()}
    leave(model, full)
    assert active(model) is None
    assert torch.equal(plain(model, full).scores, before)
    for module in model.modules():
        assert set(vars(module)) == attributes[id(module)]
        kinds = [name for name in vars(module) if name.endswith("_hooks")]
        assert not any(getattr(module, name) for name in kinds)


def test_two_models_in_one_block_do_not_hear_each_other(model, full):
    twin = copy.deepcopy(model)
    before = plain(model, full).scores
    heard = []
    listen = {"scores": lambda value, *, point: heard.append(point)}
    with twin.hooks({"pve.0.mask": replace}), model.hooks(listen):
        assert torch.equal(plain(model, full).scores, before)
        assert not torch.equal(plain(twin, full).scores, before)
    assert heard == ["scores"]


def test_two_threads_do_not_hear_each_other(model, full):
    before, found = plain(model, full).scores, {}
    inside, done = threading.Event(), threading.Event()

    def wait(value, *, point):
        inside.set()
        assert done.wait(30)
        return torch.zeros_like(value)

    def listener():
        with model.hooks({"vision.tokens": wait}):
            found["listener"] = plain(model, full).scores

    def bystander():
        assert inside.wait(30)  # the other thread is in the middle of its forward pass
        found["active"] = active(model)
        found["bystander"] = plain(model, full).scores
        done.set()

    threads = [threading.Thread(target=run) for run in (listener, bystander)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found["active"] is None
    assert torch.equal(found["bystander"], before)
    assert not torch.equal(found["listener"], before)


# With the rest of torch


def gradients(model, inputs):
    model.zero_grad()
    model(**inputs).loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def test_gradient_checkpointing_records_once_and_keeps_the_gradients(tiny, full):
    quiet = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    config = copy.deepcopy(tiny.model.config)
    for name, value in quiet.items():
        setattr(config.qformer_config, name, value)
    model = MstarModel(config).train()
    model.load_state_dict(tiny.model.state_dict())
    calls = []

    def halve(value, *, point):
        calls.append(point)
        return value / 2

    own = torch.tensor([[True, False, False], [False, True, False]])  # one text: nothing is drawn
    batch = {name: full[name] for name in ("pixel_values", "input_ids", "attention_mask")}
    batch |= {"own": own, "is_word": full["is_word"], "pve_steps": 1}
    point = "pve.0.layers.0.cross_attention"
    found = []
    for checkpointing in (False, True):
        if checkpointing:
            model.activation_checkpointing_enable()
        torch.manual_seed(0)
        calls.clear()
        run = Run(record=frozenset([point]))
        with model.hooks({point: halve}), listening(model, run):
            found.append((gradients(model, batch), run.recorded[point].detach()))
        assert set(calls) == {point}
        assert len(calls) == 1 + checkpointing, "checkpointing runs the layer once more"
        assert set(run.recorded) == {point}
    (expected, value), (ours, again) = found
    assert torch.equal(value, again)
    assert expected.keys() == ours.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(ours[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_a_compiled_model_agrees_and_hooks_take_the_eager_path():
    torch.manual_seed(2)
    small = MstarConfig.tiny(initializer_range=0.2, multi_word_branch=False, sigma="threshold")
    small.vision_config.num_hidden_layers = 1
    small.qformer_config.num_hidden_layers = 1
    model = MstarModel(small).eval()
    inputs = {"pixel_values": torch.randn(1, 3, 32, 32), "input_ids": torch.tensor([[1, 9, 2]])}
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the compiler says about its graph breaks
        expected = plain(model, inputs).scores
        torch.testing.assert_close(compiled(**inputs).scores, expected, rtol=1e-4, atol=1e-5)
        with model.hooks({"pve.0.mask": replace}):
            hooked = compiled(**inputs).scores
            assert torch.equal(hooked, plain(model, inputs).scores)
        assert not torch.equal(hooked, expected)
        torch.testing.assert_close(compiled(**inputs).scores, expected, rtol=1e-4, atol=1e-5)
    torch.compiler.reset()
