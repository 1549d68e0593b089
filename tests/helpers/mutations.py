"""Strategies of hypothesis that damage what hashbench reads from files: JSON values, JSON texts and plain bytes."""

import copy
import json

from hypothesis import strategies as st

DEEP, DIGITS = "<deep nesting>", "<many digits>"
"""Stand for texts that no JSON writer gives; `to_json` puts them in."""
RAW = {f'"{DEEP}"': "[" * 50_000 + "]" * 50_000, f'"{DIGITS}"': "9" * 5_000}
NAMES = ["", ".", "..", "../../x", "/etc/passwd", "C:\\x", "a/../../b", "a\0b", "x" * 5_000, " ", "=cmd|x", "@SUM(1)"]
"""Names that lead elsewhere, or nowhere."""
TEXTS = ["\x1b[31mred\x1b[0m", "two\nlines", "\u202eturned", "\u2066held\u2069", "\ud800", "\udcff", "\ufeffmark", "²"]
"""Texts that a terminal obeys, that turn its direction, or that UTF-8 cannot hold."""
NUMBERS = [True, False, 0, -1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, float("nan"), float("inf"), -float("inf")]
CONTAINERS = [None, [], {}, [[]], [None], {"": None}, DEEP, DIGITS]
ODD = [*NAMES, *TEXTS, *NUMBERS, *CONTAINERS]


def to_json(value):
    """Return the text of a JSON value, with NaN and infinity as Python writes them and `DEEP` and `DIGITS` put in."""
    text = json.dumps(value)
    for stand_in, content in RAW.items():
        text = text.replace(stand_in, content)
    return text


def slots(value, path=()):
    """Return the paths of all values inside a JSON value, the empty one for the value itself."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(slot for key, child in inside for slot in slots(child, (*path, key)))]


def at(value, path):
    """Return what stands at a path in a JSON value."""
    for key in path:
        value = value[key]
    return value


@st.composite
def json_values(draw, value, odd=ODD):
    """Draw a JSON value like the given one, with one to three entries replaced, taken away, added or moved.

    Parameters
    ----------
    value
        A JSON value; it stays as it is.
    odd : list
        What may stand in an entry's place. Turn what is drawn into text by `to_json`.
    """
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(slots(value)))
        if not path:
            value = copy.deepcopy(draw(st.one_of(st.just(value), st.sampled_from(odd))))
            continue
        parent, key = at(value, path[:-1]), path[-1]
        match draw(st.sampled_from(["replace", "replace", "retype", "remove", "add", "copy"])):
            case "replace":
                parent[key] = copy.deepcopy(draw(st.sampled_from(odd)))
            case "retype":
                parent[key] = draw(st.sampled_from([str(parent[key]), [parent[key]], {"value": parent[key]}]))
            case "remove":
                del parent[key]
            case "add" if isinstance(parent, dict):
                parent[draw(st.sampled_from(["", "n_bits", "__class__", "../x", "\x1b[1m", "\ud800"]))] = parent[key]
            case "add":
                parent.append(copy.deepcopy(draw(st.sampled_from(odd))))
            case "copy":
                parent[key] = copy.deepcopy(at(value, draw(st.sampled_from(slots(value)))))
    return value


def json_texts(value, odd=ODD):
    """Draw the text of a damaged JSON value, or a damaged text: cut, marked, doubled."""
    text = to_json(value)
    damaged = [text[: len(text) // 2], "", "\ufeff" + text, text + text, text.replace('"', "'"), text + "\0", "null"]
    return st.one_of(json_values(value, odd).map(to_json), st.sampled_from(damaged))


@st.composite
def contents(draw, content):
    """Draw a file's bytes like the given ones: cut off, with bytes changed, put in or taken out."""
    start = draw(st.integers(0, len(content) - 1))
    match draw(st.sampled_from(["cut", "change", "insert", "remove", "append"])):
        case "cut":
            return content[:start]
        case "change":
            return content[:start] + bytes([content[start] ^ draw(st.integers(1, 255))]) + content[start + 1 :]
        case "insert":
            return content[:start] + draw(st.binary(min_size=1, max_size=16)) + content[start:]
        case "remove":
            return content[:start] + content[start + draw(st.integers(1, 64)) :]
        case "append":
            return content + draw(st.binary(min_size=1, max_size=16))
