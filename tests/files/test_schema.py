"""JSON files of hashbench's own: what is no JSON, what is of another type, and where."""

from typing import NotRequired, TypedDict

import pytest

from hashbench.files.schema import Count, Line, Misfit, Prose, Sha256, decoded


class Example(TypedDict):
    n: Count
    key: NotRequired[Sha256]
    name: NotRequired[Line]
    text: NotRequired[Prose]
    inside: NotRequired[list[dict[str, Count]]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is no JSON"),
        (b'{"n": 1}\xff', "it is no JSON"),
        (b'{"n": 1, "x": NaN}', "NaN is no number"),
        (b'{"n": 1, "x": 1e999}', "a number is too great"),
        (b"[" * 99_999, "nested too deep"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `n`"),
        (b'{"n": 1.0}', "Expected `int`, got `float` - at `n`"),
        (b'{"n": true}', "Expected `int`, got `bool` - at `n`"),
        (b'{"n": -1}', "Expected `int` >= 0 - at `n`"),
        (b'{"n": 9223372036854775808}', "at `n`"),
        (b'{"n": 1, "inside": [{"a": "b"}]}', "Expected `int`, got `str` - at `inside[0][...]`"),
        (b'{"n": 1, "key": "%s\\n"}' % (b"0" * 64), "matching regex"),
        (b'{"n": 1, "name": "a\\nb"}', "Expected a line of printable characters, got 'a\\nb' - at `name`"),
        (b'{"n": 1, "\\ud800": 2}', "it holds '\\ud800', which is not UTF-8"),
        (b'{"n": 1, "text": "\\ud800"}', "Expected text, got '\\ud800' - at `text`"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named_with_its_place(content, words):
    with pytest.raises(Misfit) as raised:
        decoded(content, Example)
    assert words in str(raised.value)


def test_what_fits_is_returned_as_it_is():
    content = '\ufeff{"n": 1, "name": "ä", "text": "a\\nb", "other": ["\\ud800", 10000000000000000000000]}'
    assert decoded(content.encode(), Example) == {
        "n": 1, "name": "ä", "text": "a\nb", "other": ["\ud800", 10**22]
    }  # fmt: skip
