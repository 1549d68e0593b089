"""Names and texts that come from files, before they lead to a path or reach a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import NAMES, TEXTS

from hashbench.files.paths import is_name, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe 学习 — ok", "Größe 学习 — ok"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\r\nb\tc\x85d\u2028e", r"a\r\nb\tc\x85d\u2028e"),
        ("a\u202eb\u2066c\u2067d\u2068e\u2069f\u200f", r"a\u202eb\u2066c\u2067d\u2068e\u2069f\u200f"),
        ("\ud800\udcff", r"\ud800\udcff"),
        ("\x9b31m\x7f\0", r"\x9b31m\x7f\x00"),
        ("wide\u3000space", "wide\u3000space"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_a_terminal_obeys_is_escaped(text, shown):
    assert printable(text, 100) == shown


@given(st.text(st.characters(), max_size=50), st.integers(1, 60))
def test_any_text_becomes_one_line_of_limited_length(text, limit):
    line = printable(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert "\x1b" not in line
    line.encode("utf-8")
    assert printable(line, limit) == line


def test_a_long_text_is_cut_with_an_ellipsis():
    assert printable("x" * 5_000_000, 10) == "x" * 9 + "…"
    assert printable("x" * 10, 10) == "x" * 10
    assert printable("\x1b" * 10, 10) == r"\x1b\x1b\…"


@pytest.mark.parametrize(
    "name", [*NAMES[:-2], *TEXTS[:-1], None, 3, ["itq"], ".hidden", "a/b", "a\\b", "a:b", "a*", "a "]
)
def test_what_is_no_name(name):
    assert not is_name(name)


@pytest.mark.parametrize("name", ["itq", "faiss_itq", "vgg16.tv_in1k", "méthode", "my-method 2"])
def test_names(name):
    assert is_name(name)
