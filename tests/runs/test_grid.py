"""What the user writes: methods with parameters, and lists of whole numbers."""

import pytest

from hashbench import load_method
from hashbench.errors import InputError
from hashbench.runs.grid import parse_integers, parse_methods, typed_params


def labels(text):
    return [spec.label for spec in parse_methods(text)]


def test_parameters_and_grids():
    assert labels("cibhash[beta=0.001, epochs=20],itq") == ["cibhash[beta=0.001,epochs=20]", "itq"]
    assert labels("a[x=1|2,y=3|4]") == ["a[x=1,y=3]", "a[x=1,y=4]", "a[x=2,y=3]", "a[x=2,y=4]"]
    assert labels("itq,itq") == ["itq"]


@pytest.mark.parametrize("text", ["", ",", "itq[", "itq]", "itq[beta]", "itq[=3]", "itq[a=]", "a[b[c=1]]", "[a=1]"])
def test_unreadable_methods_are_refused(text):
    with pytest.raises(InputError, match="--methods"):
        parse_methods(text)


def params(text):
    (spec,) = parse_methods(text)
    return typed_params(spec, load_method(spec.name))


def test_values_get_the_declared_types():
    assert params("cibhash[beta=1,epochs=None,sampling=bernoulli]") == {
        "beta": 1.0,
        "epochs": None,
        "sampling": "bernoulli",
    }
    assert isinstance(params("cibhash[beta=1]")["beta"], float)
    assert params("itq[n_iter=3]") == {"n_iter": 3}
    assert params("cibhash[n_views=8]") == {"n_views": 8}
    assert params("cibhash[n_views=fresh]") == {"n_views": "fresh"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cibhash[bta=1]", "cibhash has no parameter 'bta'; did you mean 'beta'?"),
        ("cibhash[n_views=stale]", "cibhash: n_views=stale is not a whole number or one of 'fresh'"),
        ("lsh[zzz=1]", "lsh has no parameter 'zzz'; known: none"),
        ("cibhash[beta=much]", "cibhash: beta=much is not a number"),
        ("cibhash[epochs=2.5]", "cibhash: epochs=2.5 is not a whole number or None"),
        ("cibhash[sampling=both]", "is not one of 'sign', 'bernoulli'"),
        ("itq[n_iter=True]", "itq: n_iter=True is not a whole number"),
        ("itq[n_bits=8]", "n_bits is set by --bits"),
        ("itq[random_state=8]", "random_state is set by --seeds"),
        ("itq[n_iter=1,n_iter=2]", "n_iter is given twice"),
    ],
)
def test_unknown_or_ill_typed_parameters_are_refused(text, message):
    with pytest.raises(InputError) as caught:
        params(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["0", "-3", "abc", "", "16,", "1025", "1.5"])
def test_unusable_bits_are_refused(text):
    with pytest.raises(InputError, match="--bits"):
        parse_integers(text, "--bits", 1, 1024)


def test_repeated_numbers_count_once():
    assert parse_integers("16, 32,16", "--bits", 1, 1024) == [16, 32]
