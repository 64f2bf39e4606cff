"""A text from outside stays a text, wherever a picture shows it."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from mstar.evaluate.metrics import Estimate
from mstar.experiments.ablation import Arm, Difference
from mstar.explain.assignment import explain_words
from mstar.explain.attribution import Attribution
from mstar.explain.readout import Readout
from mstar.io.processing import character_tokenizer
from mstar.search.ranking import Hit, rank
from mstar.texts import Query
from mstar.widgets import figures
from mstar.widgets.picture import Picture

#: Ends an attribute of either quote, an element, a style, a script and a comment; is no entity.
HOSTILE = """"'></p></style></script>--><hostile>&amp;`"""
ESTIMATE = Estimate(50, 40, 60, 30)


class Page(HTMLParser):
    """The elements of a page, and all that it says."""

    def __init__(self, html: str):
        super().__init__()
        self.elements, self.texts, self.inside = set(), [], None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.inside = tag
        self.elements.add(tag)
        self.texts += [value or "" for _, value in attributes]

    def handle_data(self, data):
        tables = self.inside == "script" and data.startswith("{")
        self.texts += said(json.loads(data)) if tables else [data]


def said(value) -> list[str]:
    """The texts of JSON."""
    if isinstance(value, dict):
        value = list(value.values())
    return (
        [text for one in value for text in said(one)] if isinstance(value, list) else [f"{value}"]
    )


def _differences():
    arms = Arm(1, HOSTILE), Arm(1, HOSTILE)
    return [Difference(*arms, "gallery", "group", 50, 40, ESTIMATE, (1.0,), None)]


def _with_pairs(run):
    """With what the matching pass would have recorded."""
    texts = len(run.queries)
    attention = torch.rand(texts, 1, 2, 4, run.grid[0] * run.grid[1])
    found = {"itm.layers.1.cross_attention": attention, "itm.logits": torch.zeros(texts, 2)}
    return replace(run, tensors={**run.tensors, **found})


def _read(run):
    found = {"text.layers.0.self_attention": torch.rand(1, 2, 3, 3)}
    return replace(run, tensors={**run.tensors, **found}), character_tokenizer(), [[2, 7, 3]]


def _attributions(photo):
    found = Attribution(HOSTILE, Query(HOSTILE, "word"), 0.5, torch.eye(8))
    return figures.attributions(HOSTILE, photo, [{HOSTILE: found}])


def _search(photo):
    hit = Hit(0, HOSTILE, 1, 0.5, 1, 0.5, None, 0, 0, 0)
    return figures.search([photo], [HOSTILE], HOSTILE, HOSTILE, [hit])


def _queries(photo):
    row = figures.Ranking(Query(HOSTILE, "word"), HOSTILE, [0], [True])
    return figures.queries(HOSTILE, HOSTILE, [row], [photo], [HOSTILE])


#: Figure -> how it is drawn with all its texts hostile, from a run and a photograph.
DRAWN = {
    "against": lambda run, photo: figures.against(
        HOSTILE, HOSTILE, HOSTILE, HOSTILE, {HOSTILE: ([1], [2], [HOSTILE])}
    ),
    "assignment": lambda run, photo: figures.assignment(run),
    "attributions": lambda run, photo: _attributions(photo),
    "compare": lambda run, photo: figures.compare((run, run), (HOSTILE, HOSTILE)),
    "comparisons": lambda run, photo: figures.comparisons(
        HOSTILE, HOSTILE, [HOSTILE], {HOSTILE: [None]}
    ),
    "differences": lambda run, photo: figures.differences(HOSTILE, HOSTILE, _differences()),
    "explore": lambda run, photo: figures.explore(run, [(HOSTILE, [(0, 0), (9, 0), (9, 9)])]),
    "facts": lambda run, photo: figures.facts(HOSTILE, {HOSTILE: HOSTILE}),
    "heading": lambda run, photo: figures.heading(HOSTILE, HOSTILE),
    "heads": lambda run, photo: figures.heads(run, explain_words(run)),
    "lab": lambda run, photo: figures.lab(photo, (2, 2), 1, 1, HOSTILE),
    "multi_word": lambda run, photo: figures.multi_word(run),
    "note": lambda run, photo: figures.note(HOSTILE, HOSTILE),
    "precision_recall": lambda run, photo: figures.precision_recall(
        HOSTILE, HOSTILE, [0, 1], {HOSTILE: {HOSTILE: [1, 0]}}
    ),
    "matching": lambda run, photo: figures.matching(_with_pairs(run)),
    "queries": lambda run, photo: _queries(photo),
    "ranks": lambda run, photo: figures.ranks(
        [(HOSTILE, HOSTILE)], [rank(torch.tensor([0.5]), 0)], [photo], 0, {}
    ),
    "readouts": lambda run, photo: figures.readouts(
        Readout([Query(HOSTILE, "word")], torch.rand(1, 2, 1))
    ),
    "scores": lambda run, photo: figures.scores(
        HOSTILE, HOSTILE, {HOSTILE: {HOSTILE: ESTIMATE}}, HOSTILE
    ),
    "search": lambda run, photo: _search(photo),
    "table": lambda run, photo: figures.table(HOSTILE, HOSTILE, [HOSTILE] * 2, [[HOSTILE] * 2]),
    "text_attention": lambda run, photo: figures.text_attention(
        *_read(replace(run, queries=[Query(HOSTILE, "word")]))
    ),
    "training": lambda run, photo: figures.training({HOSTILE: [(1, 2.0)]}, HOSTILE),
    "words": lambda run, photo: figures.words(run),
}
#: It shows no text from outside.
SILENT = {"looks", "query_attention"}


@pytest.fixture(scope="module")
def run(recorded):
    queries = [Query(HOSTILE, query.style) for query in recorded.queries]
    return replace(recorded.trace, queries=queries)


def test_every_figure_is_here():
    functions = {name for name in figures.__all__ if name.islower()}
    assert set(DRAWN) | SILENT == functions


@pytest.mark.parametrize("name", DRAWN)
def test_a_hostile_text_is_shown_as_it_is(name, run):
    photo = Image.fromarray(np.zeros((16, 16, 3), np.uint8))
    page = Page(DRAWN[name](run, photo).markup)
    assert "hostile" not in page.elements
    shown = HOSTILE.removesuffix("`") if name == "note" else HOSTILE  # which sets a command
    assert any(shown in text for text in page.texts)


def test_a_picture_of_plain_text_is_not_taken_for_markup():
    assert "&lt;b&gt;" in Picture("<b>").html
