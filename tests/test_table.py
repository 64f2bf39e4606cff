"""One result, four faces: the same rows as text, JSON, CSV and a page, and nothing made up."""

import csv
import io
import json
import sys
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest

from mstar.errors import UserError
from mstar.evaluate.metrics import FEW_SAID, estimate
from mstar.evaluate.table import COUNTED, FORMATS, PERCENT, RATE, Column, Result, Section

NASTY = "<script>alert(1)</script> & \"quotes\", 'commas'"
NOTHING = estimate([])


@pytest.fixture
def result() -> Result:
    scores = Section(
        "scores",
        "MAP & more",
        (
            Column("group", "queries"),
            Column("run", "<b>ranked by</b>"),
            Column("map", "MAP", COUNTED),
            Column("rate", "images/s", RATE),
            Column("share", "share", PERCENT),
            Column("count", "of"),
        ),
        [
            ("word", "MSTAR", estimate([90.0] * 30), 12.34, 99.6, 3),
            ("word", NASTY, estimate([1.0, 2.0]), None, float("nan"), np.int64(4)),
            ("phrase", "MSTAR", NOTHING, np.float64("inf"), np.float32(50), 0),
        ],
        keys=2,
    )
    facts = Section("facts", "", (Column("what", ""), Column("value", "")), [("paper", True)])
    about = {
        "seed": 3,
        "gallery": "0123456789abcdef" * 4,
        "methods": ["a", "b"],
        "left_out": {NASTY: "broken"},
        "gap": float("nan"),
    }
    return Result("a <title>", about, [scores, facts], ["left out: 1 photograph"])


def test_numbers_are_found_by_their_names(result):
    row = result["scores"]["word", "MSTAR"]
    assert (row["map"].value, row["rate"], row["count"]) == (90, 12.34, 3)
    assert result["facts"]["paper"] == {"what": "paper", "value": True}
    assert [row["count"] for row in result["scores"]] == [3, 4, 0] and len(result["scores"]) == 3
    assert result["scores"].column("count") == {
        ("word", "MSTAR"): 3, ("word", NASTY): 4, ("phrase", "MSTAR"): 0,
    }  # fmt: skip


def test_a_name_that_is_not_there_is_answered_with_those_that_are(result):
    with pytest.raises(KeyError, match="no section 'score': expected one of scores, facts"):
        result["score"]
    with pytest.raises(KeyError, match="no row 'released': expected one of paper"):
        result["facts"]["released"]
    with pytest.raises(ValueError, match="facts has 2 columns; got a row of 1 values"):
        replace(result["facts"], rows=[("paper",)])


def test_text_is_aligned_and_says_what_is_missing(result):
    head, table, facts, notes = str(result).split("\n\n")
    assert head == "a <title>: seed 3, gallery 0123456789ab, methods a b, gap –"
    title, headings, first, second, third = table.splitlines()
    assert title == "MAP & more"
    assert first.split("  ")[-1] == "3" and "90.0 [90.0, 90.0] of 30" in first
    assert "12.3" in first and "100 %" in first
    assert second.startswith("  " + " " * len("queries")), "a name is said once"
    assert third.split() == ["phrase", "MSTAR", "–", "–", "50", "%", "0"]
    places = [line.index(cell) for line, cell in
              ((headings, "MAP"), (first, "90.0"), (second, "1.5"), (third, "–"))]  # fmt: skip
    assert len(set(places)) == 1, "columns stand below each other"
    assert all(line == line.rstrip() for line in str(result).splitlines())
    assert facts.splitlines()[-1] == "  paper  True"
    assert notes == f"left out: 1 photograph\n{FEW_SAID}"


def test_few_values_are_said_of_and_none_are_not(result):
    many = replace(result["scores"], rows=[result["scores"].rows[n] for n in (0, 2)])
    assert FEW_SAID not in str(replace(result, sections=[many]))


def test_json_has_every_value_and_no_nan(result):
    found = json.loads(FORMATS["json"](result), parse_constant=pytest.fail)
    assert found == result.to_json()
    first, second, third = found["sections"]["scores"]
    assert first["map"] == {"value": 90, "low": 90, "high": 90, "count": 30}
    assert first["rate"] == 12.34 and second["run"] == NASTY and second["count"] == 4
    assert second["rate"] is second["share"] is third["map"] is third["rate"] is None
    assert found["sections"]["facts"] == [{"what": "paper", "value": True}]
    assert found["about"]["gap"] is None and found["about"]["left_out"] == {NASTY: "broken"}
    assert found["about"]["gallery"] == result.about["gallery"], "all of it"
    assert found["versions"]["torch"] and found["notes"] == ["left out: 1 photograph", FEW_SAID]


def test_csv_has_a_line_a_value(result):
    lines = list(csv.DictReader(io.StringIO(FORMATS["csv"](result))))
    assert all(None not in line and None not in line.values() for line in lines)
    by_name = {(line["section"], line["row"], line["column"]): line for line in lines}
    assert len(by_name) == len(lines)
    one = by_name["scores", "word, MSTAR", "map"]
    assert [one[key] for key in ("value", "low", "high", "count")] == ["90.0"] * 3 + ["30"]
    assert by_name["scores", f"word, {NASTY}", "count"]["value"] == "4"
    nothing = by_name["scores", "phrase, MSTAR", "map"]
    assert nothing["value"] == nothing["low"] == nothing["count"] == ""
    assert by_name["about", "", "title"]["value"] == "a <title>"
    assert json.loads(by_name["about", "", "left_out"]["value"]) == {NASTY: "broken"}
    assert by_name["about", "", "gap"]["value"] == ""
    assert "nan" not in FORMATS["csv"](result).lower()


class Page(HTMLParser):
    """Tags, and the texts in them."""

    def __init__(self, html: str):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.texts += [data.strip()] if data.strip() else []


def test_a_page_escapes_every_text_and_loads_nothing(result):
    page = Page(FORMATS["html"](result))
    names = [tag for tag, _ in page.tags]
    assert "script" not in names and "b" not in names and names.count("title") == 1
    assert names.count("table") == 2 and names.count("h1") == 1
    assert not any("src" in given or "href" in given for _, given in page.tags)
    for text in ("a <title>", "MAP & more", "<b>ranked by</b>", NASTY, "90.0 [90.0, 90.0] of 30",
                 "–", "50 %", FEW_SAID):  # fmt: skip
        assert text in page.texts
    assert all(text in page.texts for row in result["scores"].cells() for text in row)


def test_in_a_notebook_it_is_the_page_without_its_frame(result):
    inside = Page(result._repr_html_())
    names = {tag for tag, _ in inside.tags}
    assert names.isdisjoint({"html", "style", "title", "meta", "script"}) and "table" in names
    assert NASTY in inside.texts


def test_rows_of_a_table_are_plain_and_all_alike(result):
    rows = result["scores"].to_rows()
    assert rows[0] == {
        "group": "word", "run": "MSTAR", "map": 90.0, "map_low": 90.0, "map_high": 90.0,
        "map_count": 30, "rate": 12.34, "share": 99.6, "count": 3,
    }  # fmt: skip
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    assert rows[2]["map"] is rows[2]["map_count"] is rows[2]["rate"] is rows[1]["share"] is None
    json.dumps(rows, allow_nan=False)


def test_tables_are_written_as_csv(result, tmp_path):
    with open(result["scores"].to_csv(tmp_path / "new" / "a.csv"), newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines[1]["run"] == NASTY and lines[1]["rate"] == "" and float(lines[0]["map"]) == 90
    whole = result.to_csv(tmp_path / "b.csv")
    assert whole.read_bytes().decode() == FORMATS["csv"](result)


def test_a_table_is_a_frame_where_pandas_is(result, monkeypatch):
    made = SimpleNamespace(DataFrame=lambda rows: ("frame", rows))
    monkeypatch.setitem(sys.modules, "pandas", made)
    assert result["scores"].to_frame() == ("frame", result["scores"].to_rows())
    assert result.to_frame()[1][-1]["section"] == "facts"
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="needs pandas: pip install pandas, or take to_rows"):
        result["facts"].to_frame()
