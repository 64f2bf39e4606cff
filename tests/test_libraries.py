"""What the libraries under us do that a good guess gets wrong, and what ours does instead.

Each test holds one row of the table in `mstar/hooks/README.md`: it fails if the library's behaviour
changes, so that the row can go, and if ours follows it.
"""

import io
import json
import signal
import subprocess
import sys
from collections import Counter
from copy import deepcopy

import captum.attr
import cv2
import nbformat
import numpy as np
import papermill
import plotly.graph_objects as go
import pytest
import scipy.io
import torch
import torch.nn.functional as F
from jupyter_client.session import json_packer
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError
from safetensors import numpy as safetensors_numpy
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import AttentionInterface, BertConfig, BertModel, SiglipVisionModel

from mstar.model.recycling import SalientAttentionShift
from mstar.reports.parameters import ImageReport
from mstar.widgets.view import View
from tests.conftest import ROOT


@pytest.fixture
def inputs(tiny):
    images = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    return dict(tiny.processor(images=list(images), text=["exit", "way out"], styles="phrase"))


# Python


def test_a_caught_interrupt_may_end_a_module_by_its_signal(tmp_path):
    """`exec` of a text is how dataclasses are made while importing."""
    (tmp_path / "stopped.py").write_text(
        "import sys\n"
        "try:\n    exec('raise KeyboardInterrupt')\nexcept KeyboardInterrupt:\n    pass\n"
        "sys.exit(3)\n"
    )
    codes = [
        subprocess.run([sys.executable, *how], cwd=tmp_path, check=False).returncode
        for how in (["stopped.py"], ["-m", "stopped"])
    ]
    assert codes == [3, -signal.SIGINT]


# transformers


def test_a_qformer_mixes_its_maps_and_gives_none_under_sdpa(tiny, inputs):
    model, trace = tiny.model, tiny.model.run_with_trace(inputs, ["vision.tokens", "pve.0.*"])[1]
    ψ = deepcopy(model.multimodal.qformer)
    seen = {
        "query_embeds": model.multimodal.query_tokens,
        "encoder_hidden_states": model.vision.project(trace["vision.tokens"][:, 0]),
        "output_attentions": True,
    }
    ψ.config._attn_implementation = "sdpa"
    assert ψ(**seen).attentions == ()
    ψ.config._attn_implementation = "eager"
    maps = ψ(**seen).attentions
    layers = model.config.qformer_config.num_hidden_layers
    crossing = range(0, layers, model.config.qformer_config.cross_attention_frequency)
    assert len(maps) == layers + len(crossing)  # self and cross of one layer after each other
    found = iter(maps)
    for layer in range(layers):
        own = [trace[f"pve.0.layers.{layer}.self_attention"][:, 0]]
        if layer in crossing:
            own.append(trace[f"pve.0.layers.{layer}.cross_attention"][:, 0])
        for one in own:
            torch.testing.assert_close(one, next(found))


def test_an_attention_function_is_given_no_mask_unless_the_masks_know_its_name(tiny):
    heard = []

    def hearing(module, query, key, value, attention_mask, **_):
        heard.append(attention_mask)
        return query.transpose(1, 2), None

    AttentionInterface.register("test_hearing", hearing)
    config = BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=9
    )
    config._attn_implementation = "test_hearing"
    BertModel(config)(input_ids=torch.tensor([[1, 2, 0]]), attention_mask=torch.tensor([[1, 1, 0]]))
    assert heard == [None]

    alone, padded = (
        tiny.encode_texts(texts)[0].features[0]
        for texts in (["exit"], ["exit", "phrase:a longer one"])
    )
    torch.testing.assert_close(alone, padded)


def test_a_hooks_change_is_or_is_not_in_the_hidden_states(tiny, inputs):
    def hidden(called_before: bool) -> float:
        φ = SiglipVisionModel(tiny.model.config.vision_config).eval()
        side = φ.config.image_size
        image = torch.rand(1, 3, side, side)
        if called_before:
            φ(image, output_hidden_states=True)
        φ.encoder.layers[0].register_forward_hook(lambda module, args, out: torch.zeros_like(out))
        return φ(image, output_hidden_states=True).hidden_states[1].abs().max().item()

    with torch.no_grad():
        assert hidden(called_before=False) == 0
        assert hidden(called_before=True) > 0
    name = "vision.layers.0.hidden"
    for _ in range(2):
        tiny.model.run_with_trace(inputs, name)
        with tiny.model.hooks({name: lambda value, *, point: torch.zeros_like(value)}):
            assert tiny.model.run_with_trace(inputs, name)[1][name].abs().max() == 0


def test_siglip_drops_the_pixels_beyond_its_last_patch(tiny):
    φ = SiglipVisionModel(tiny.model.config.vision_config).eval()
    side, patch = φ.config.image_size, φ.config.patch_size
    wide = torch.rand(1, 3, side, side + patch - 1)
    other = wide.clone()
    other[..., side:] = 0
    with torch.no_grad():
        one, same = (
            φ(image, interpolate_pos_encoding=True).last_hidden_state for image in (wide, other)
        )
    assert torch.equal(one, same)
    with pytest.raises(ValueError, match=f"{side}×{side + patch - 1} is not a multiple"):
        tiny.model(pixel_values=wide[:, None])


def test_an_image_masked_whole_gives_other_values_in_eager_than_in_sdpa(tiny):
    ψ = deepcopy(tiny.model.multimodal.qformer)
    image = torch.randn(1, 5, ψ.config.encoder_hidden_size)
    seen = []
    for mask in (torch.zeros(1, 5), torch.ones(1, 5)):
        for kind in ("eager", "sdpa"):
            ψ.config._attn_implementation = kind
            seen.append(
                ψ(
                    query_embeds=tiny.model.multimodal.query_tokens,
                    encoder_hidden_states=image,
                    encoder_attention_mask=mask,
                ).last_hidden_state
            )
    eager, sdpa, *plain = seen
    assert (eager - sdpa).abs().max() > 1e-3
    torch.testing.assert_close(*plain)


# torch, where everything is hidden


def attention(function, hidden: float, dtype=torch.float32):
    """Where every key is hidden: the outputs, the mean of the values, the values' gradient."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 1, 16, 8).to(dtype).requires_grad_() for _ in range(3))
    out = function(q, k, v, torch.full((1, 1, 1, 16), hidden, dtype=dtype))
    out.sum().backward()
    return out.detach().float(), v.detach().float().mean(2, keepdim=True).expand_as(out), v.grad


def by_hand(q, k, v, bias):
    return (q @ k.mT * q.shape[-1] ** -0.5 + bias).softmax(-1) @ v


def test_the_backward_of_a_row_hidden_by_the_lowest_number_is_too_large(tiny):
    lowest = torch.finfo(torch.float32).min
    out, mean, gradient = attention(F.scaled_dot_product_attention, lowest)
    same, _, right = attention(by_hand, lowest)
    torch.testing.assert_close(out, mean)
    torch.testing.assert_close(same, mean)
    torch.testing.assert_close(gradient, 16 * right)

    def shifted(seen: float):
        shift.zero_grad()
        out = shift(tokens, torch.full((1, 16), seen), 1)
        out.pow(3).sum().backward()
        return out.detach(), shift.value.weight.grad.norm().item()

    shift = SalientAttentionShift(tiny.model.config).eval()
    tokens = torch.randn(1, 16, tiny.model.config.vision_config.hidden_size)
    (hidden, ours), (plain, right) = shifted(0), shifted(1)
    torch.testing.assert_close(hidden, plain, atol=4e-3, rtol=0)
    assert ours == pytest.approx(right, rel=0.01)


def test_in_half_precision_a_row_hidden_by_the_lowest_number_is_not_the_mean():
    half = torch.float16
    for hidden in (torch.finfo(half).min, -1e4):  # the lowest, and what S and ψ hide by
        out, mean, _ = attention(F.scaled_dot_product_attention, hidden, half)
        as_if_seen, _, _ = attention(F.scaled_dot_product_attention, 0, half)
        assert (out - mean).abs().max() > 0.1
        torch.testing.assert_close(out, as_if_seen, atol=5e-3, rtol=0)


# torch, modules


def test_multihead_attention_answers_otherwise_when_weights_are_asked_for(tiny):
    module, x = nn.MultiheadAttention(8, 2, batch_first=True).eval(), torch.randn(1, 5, 8)
    hidden = torch.zeros(5, 5)
    hidden[0] = -torch.inf
    heard = []
    module.out_proj.register_forward_hook(lambda *_: heard.append(1))
    with torch.no_grad():
        asked, plain = (
            module(x, x, x, attn_mask=hidden, need_weights=weights)[0] for weights in (True, False)
        )
    assert asked[0, 0].isnan().all() and not plain.isnan().any() and not heard
    assert not any(isinstance(one, nn.MultiheadAttention) for one in tiny.model.modules())


def test_checkpointing_calls_a_hook_once_or_twice(tiny, inputs):
    layers, heard = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), Counter()
    for name, layer in layers.named_children():
        layer.register_forward_hook(lambda *_, name=name: heard.update([name]))
    checkpoint(layers, torch.randn(2, 4, requires_grad=True), use_reentrant=False).sum().backward()
    assert heard == {"0": 2, "1": 2, "2": 1}  # what the backward needs is run again, no more

    model, heard = deepcopy(tiny.model).train(), Counter()
    model.activation_checkpointing_enable()

    def hear(value, *, point):
        heard[point] += 1

    with model.hooks({"pve.0.layers.*": hear, "pve.0.attention_map": hear}):
        out = model(**inputs, own=torch.eye(1, 2).bool(), matching=False)
    assert set(heard.values()) == {1}
    out.loss.backward()  # inside a layer again, between layers not: C counts each layer once
    assert {point for point, times in heard.items() if times == 2} == {
        point for point in heard if point.endswith("_attention")
    }


# captum


class Twice(nn.Module):
    """A layer called once a look."""

    def __init__(self):
        super().__init__()
        self.layer, self.last = nn.Linear(3, 3), nn.Linear(6, 1)

    def forward(self, x):
        first = self.layer(x)
        return self.last(torch.cat([first, self.layer(first.tanh())], -1)).tanh()


def test_captum_attributes_the_last_call_of_a_layer_alone():
    torch.manual_seed(3)
    model, x = Twice().eval(), torch.randn(1, 3)
    kept = captum.attr.LayerActivation(model, model.layer).attribute(x)
    torch.testing.assert_close(kept, model.layer(model.layer(x).tanh()))
    integrated = captum.attr.LayerIntegratedGradients(model, model.layer)
    gaps = [
        integrated.attribute(x, torch.zeros(1, 3), n_steps=n, return_convergence_delta=True)[1]
        for n in (50, 500)
    ]
    assert abs(gaps[0]) > 0.05 and abs(gaps[1] - gaps[0]) < 1e-3
    # ours stand at f₀, which is made once: that they add up is held by test_attribution


# papermill and nbclient


def notebook(*cells: str, tags: tuple[str, ...] = ()):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells])
    made.cells[-1].metadata.tags = list(tags)
    made.metadata.kernelspec = {"name": "python3", "language": "python", "display_name": "Python"}
    return made


@pytest.fixture(scope="module")
def executed():
    """By nbclient: a plotly figure, then a cell that is allowed to fail."""
    shows = "import plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 2]))"
    made = notebook(shows, "1 / 0", tags=("raises-exception",))
    return NotebookClient(made).execute()


def test_papermill_and_nbclient_judge_a_cell_that_may_fail_oppositely(executed):
    assert executed.cells[1].outputs[0].ename == "ZeroDivisionError"
    with pytest.raises(PapermillExecutionError):
        papermill.execute_notebook(
            notebook("1 / 0", tags=("raises-exception",)), None, progress_bar=False
        )
    for path in [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("reports/*.ipynb")]:
        assert "raises-exception" not in path.read_text(encoding="utf-8"), path


def test_parameters_that_papermill_changes_or_cannot_write(tmp_path):
    def written(value) -> str:
        out = tmp_path / "out.ipynb"
        made = notebook("a = 1", tags=("parameters",))
        papermill.execute_notebook(made, out, {"a": value}, prepare_only=True, progress_bar=False)
        return out.read_text(encoding="utf-8")

    def no_constants(name):
        raise ValueError(name)

    with pytest.raises(ValueError, match="Infinity"):
        json.loads(written(float("inf")), parse_constant=no_constants)
    assert 'a = "(1, 2)"' in json.loads(written((1, 2)))["cells"][1]["source"][1]
    for value in (np.int64(1), np.bool_(True)):
        with pytest.raises(TypeError):
            written(value)
    for name, value in {"seed": float("inf"), "images": (1, 2), "pve_steps": np.int64(1)}.items():
        with pytest.raises(ValueError, match=name):
            ImageReport.checked({name: value})


def test_nan_reaches_the_browser_as_text():
    with pytest.warns(UserWarning, match="not JSON compliant"):
        sent = json_packer({"value": float("nan")})
    assert json.loads(sent) == {"value": "nan"}
    for view in View.__subclasses__():
        synced = view.class_traits(sync=True)
        assert not any(type(trait).__name__ == "Float" for trait in synced.values()), view


def test_plotlys_default_renderer_leaves_nothing_in_an_exported_page(executed):
    made = nbformat.v4.new_notebook(cells=executed.cells[:1])
    assert "scatter" in json.dumps(made.cells[0].outputs)
    with pytest.warns(UserWarning, match="not able to be represented"):
        page, _ = HTMLExporter(template_name="basic", exclude_input=True).from_notebook_node(made)
    assert "scatter" not in page
    assert "scatter" in go.Figure(go.Scatter(y=[1, 2])).to_html(include_plotlyjs=False)


def test_plotly_takes_texts_for_markup_and_offers_to_upload(tmp_path, open_page):
    named = [go.Scatter(y=[1, 2], name=name) for name in ("<b>way</b>", "$5 or $9", "&lt;b&gt;")]
    (tmp_path / "page.html").write_text(go.Figure(named).to_html(), encoding="utf-8")
    opened = open_page(tmp_path / "page.html")
    legend = opened.page.locator(".legendtext")
    assert legend.nth(0).text_content() == "way" and legend.nth(2).text_content() == "<b>"
    assert any("MathJax is not loaded" in said for said in opened.wrong)
    assert opened.page.locator("[data-title^='Share chart']").count() == 1


# files


def test_matlabs_whole_numbers_come_as_unsigned_bytes():
    """MATLAB stores a matrix of doubles in the smallest type that holds it; scipy keeps that."""
    file = io.BytesIO()
    scipy.io.savemat(file, {"p": np.array([[10, 200], [3, 5]], np.uint8)})
    stored = bytearray(file.getvalue())
    flags = stored.index(bytes([9, 0, 0, 0]), 128)  # of the class uint8
    stored[flags] = 6  # double
    x = scipy.io.loadmat(io.BytesIO(stored))["p"]
    assert x.dtype == np.uint8 and (x[1] - x[0]).tolist() == [249, 61]
    right = scipy.io.loadmat(io.BytesIO(stored), mat_dtype=True)["p"]
    assert (right[1] - right[0]).tolist() == [-7, -195]


def test_safetensors_scrambles_a_transposed_array(tmp_path):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    stored = safetensors_numpy.load(safetensors_numpy.save({"x": x.T}))["x"]
    assert stored.shape == (3, 2) and not np.array_equal(stored, x.T)


def test_opencv_is_the_one_that_sigma_was_written_for():
    assert cv2.__version__.startswith("4.")
