"""Queries as typed: hostile ones cost no more than they are long."""

import time

import pytest

from mstar.texts import guess_style, parse_query, quoted


@pytest.mark.parametrize(
    "text",
    [
        "'" * 200_000,
        "' " * 100_000,
        "'a" * 100_000,
        "'x'" + " " * 300_000 + "b",
        "a" + " " * 300_000 + "b",
        "a , " * 50_000,
        "'a' " * 50_000,
    ],
    ids=["marks", "apart", "opened", "blanks", "words", "commas", "quotations"],
)
def test_a_long_text_takes_time_in_proportion(text):
    begun = time.process_time()
    guess_style(text)
    quoted(text)
    try:
        parse_query(text)
    except ValueError as problem:
        assert "no words" in str(problem)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("'dream big' on a shirt", "semantic"),
        ("say 'a' or 'b' on it", "semantic"),
        ("'' on a shirt", "phrase"),  # nothing is quoted
        ("it's on", "phrase"),
        ("“open” at the door", "semantic"),
    ],
)
def test_what_is_quoted_and_stands_on_something_is_semantic(text, style):
    assert guess_style(text)[0] == style
