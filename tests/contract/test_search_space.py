"""Search spaces: what a class declares, and what is refused with one clear line."""

from __future__ import annotations

import pytest

from hashbench import HashMethod, log_range
from hashbench.contract.search_space import Choice, Range, search_space, space_in_words
from hashbench.learning.deep import DeepMethod


class Classic(HashMethod):
    """A method with a parameter of each type."""

    name = "classic"

    def __init__(
        self, n_bits=32, n_anchors=300, ridge=0.1, sampling="sign", centre=True, sigma=None, scale=1, random_state=None
    ):
        self.n_bits = n_bits
        self.n_anchors = n_anchors
        self.ridge = ridge
        self.sampling = sampling
        self.centre = centre
        self.sigma = sigma
        self.scale = scale
        self.random_state = random_state


class Deep(DeepMethod):
    """A method with limits."""

    name = "deep"


def space_of(base, **search):
    return search_space(type("Mine", (base,), {"name": base.name, "search": search}))


def test_a_pair_is_a_range_and_a_list_is_a_choice():
    space = space_of(
        Classic,
        n_anchors=(100, 1000),
        ridge=(0.0, 0.5),
        sampling=["sign", "bernoulli"],
        centre=[True, False],
        sigma=[None, 0.5, 2],
        scale=(0.5, 2.0),
    )
    assert list(space.items()) == [
        ("n_anchors", Range(100, 1000, log=False, integer=True)),
        ("ridge", Range(0.0, 0.5, log=False, integer=False)),
        ("sampling", Choice(("sign", "bernoulli"))),
        ("centre", Choice((True, False))),
        ("sigma", Choice((None, 0.5, 2))),
        ("scale", Range(0.5, 2.0, log=False, integer=False)),
    ]


def test_a_logarithmic_range_of_integers_is_one_of_integers():
    space = space_of(Classic, n_anchors=log_range(100, 1000), ridge=log_range(1e-3, 1.0))
    assert space == {"n_anchors": Range(100, 1000, log=True, integer=True), "ridge": Range(1e-3, 1.0, log=True)}


def test_a_space_in_words():
    search = {"n_anchors": (100, 1000), "ridge": log_range(1e-3, 1.0), "sigma": [None, 0.5, 2], "centre": [True, False]}
    assert space_in_words(type("Mine", (Classic,), {"search": search})) == (
        "n_anchors 100 to 1000; ridge 0.001 to 1.0 (log); sigma None, 0.5 or 2; centre True or False"
    )
    assert space_in_words(Classic) == "none"


def test_a_class_without_a_space_has_an_empty_one():
    assert search_space(Classic) == {}


def test_a_default_at_a_bound_is_included():
    assert space_of(Classic, n_anchors=(300, 400), ridge=(0.01, 0.1)).keys() == {"n_anchors", "ridge"}


REFUSED = {
    "unknown parameter": ({"n_anchor": (100, 1000)}, "no such parameter; did you mean 'n_anchors'?"),
    "unlike any parameter": ({"zzz": (1, 2)}, "no such parameter; parameters: n_bits, n_anchors, ridge"),
    "code length": ({"n_bits": (16, 64)}, "it is not tuned; a run sets the code length"),
    "seed": ({"random_state": [0, None]}, "it is not tuned; a run sets the seed"),
    "one value": ({"sampling": ["sign"]}, "a choice needs at least two values"),
    "one value twice": ({"sampling": ["sign", "sign"]}, "'sign' is there twice"),
    "empty list": ({"sampling": []}, "a choice needs at least two values"),
    "empty pair": ({"ridge": ()}, "expected a pair (low, high), log_range(low, high) or a list of values"),
    "three bounds": ({"ridge": (0.0, 0.1, 1.0)}, "expected a pair (low, high)"),
    "a number": ({"ridge": 0.1}, "expected a pair (low, high)"),
    "texts as bounds": (
        {"sampling": ("sign", "bernoulli")},
        "'sign' is no finite number; a choice of values is a list",
    ),
    "booleans as bounds": ({"centre": (False, True)}, "False is no finite number"),
    "infinite bound": ({"ridge": (0.0, float("inf"))}, "inf is no finite number"),
    "not a number": ({"ridge": (float("nan"), 1.0)}, "nan is no finite number"),
    "mixed bounds": ({"ridge": (0, 0.5)}, "one bound is an integer, the other is not"),
    "mixed logarithmic bounds": ({"ridge": log_range(1e-3, 1)}, "one bound is an integer, the other is not"),
    "low above high": ({"ridge": (0.5, 0.0)}, "the first bound must be below the second"),
    "low equal to high": ({"n_anchors": (300, 300)}, "the first bound must be below the second"),
    "logarithm of 0": ({"ridge": log_range(0.0, 1.0)}, "a logarithmic range begins above 0"),
    "logarithm of a negative": ({"ridge": log_range(-1.0, 1.0)}, "a logarithmic range begins above 0"),
    "logarithm of a text": ({"ridge": log_range("a", "b")}, "'a' is no finite number"),
    "a list in a list": ({"sampling": ["sign", [1]]}, "[1] is no text, finite number, True, False or None"),
    "infinity in a list": ({"ridge": [0.1, float("inf")]}, "inf is no text, finite number"),
    "default outside": ({"ridge": (0.2, 0.5)}, "the default 0.1 is outside; extend the range"),
    "default not listed": ({"sampling": ["a", "b"]}, "the default 'sign' is not one of the values; add it"),
    "1 for True": ({"centre": [1, 0]}, "the default True is not one of the values"),
    "default None": ({"sigma": (0.1, 1.0)}, "the default None is no number; write a list of values that contains it"),
    "default text": ({"sampling": (0.1, 1.0)}, "the default 'sign' is no number"),
    "integers for a real": ({"ridge": (0, 1)}, "the default 0.1 is no integer"),
}


@pytest.mark.parametrize(("search", "message"), REFUSED.values(), ids=REFUSED)
def test_a_bad_space_is_one_clear_line(search, message):
    with pytest.raises(ValueError, match=r"^classic: search\[") as caught:
        space_of(Classic, **search)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("search", [None, [], [("ridge", (0.0, 1.0))], "ridge"])
def test_a_space_that_is_no_dict_is_refused(search):
    with pytest.raises(ValueError, match=r"classic: search is .*; write a dict such as"):
        search_space(type("Mine", (Classic,), {"name": "classic", "search": search}))


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"lr": (0.0, 0.1)}, "0.0 is outside the limits; expected above 0"),
        ({"weight_decay": (-1.0, 0.0)}, "-1.0 is outside the limits; expected at least 0"),
        ({"precision": ["32-true", "8-true"]}, "'8-true' is outside the limits; expected one of 32-true"),
        ({"batch_size": (1, 128)}, "1 is outside the limits; expected 2 to"),
        ({"precision": ["32-true", 8]}, "8 is outside the limits"),
        ({"lr": [1e-3, "fast"]}, "'fast' cannot be used: TypeError"),
        ({"epochs": [None, 5]}, "it is not tuned; all configurations of a method get the same training"),
    ],
)
def test_limits_of_a_deep_method_hold(search, message):
    with pytest.raises(ValueError, match=r"^deep: search\[") as caught:
        space_of(Deep, **search)
    assert message in str(caught.value)


def test_the_message_shows_what_was_declared():
    with pytest.raises(ValueError, match=r"^classic: search\['ridge'\] = log_range\(0.5, 0.2\): the first bound"):
        space_of(Classic, ridge=log_range(0.5, 0.2))
