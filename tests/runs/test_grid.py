"""What the user writes: methods with parameters, and lists of whole numbers."""

import pytest

from hashbench import load_method
from hashbench.errors import InputError
from hashbench.runs.requested.grid import parse_integers, parse_methods, typed_params


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
        ("cibhash[beta=much]", "cibhash: beta=much is not a finite number"),
        ("cibhash[lr=1e400]", "cibhash: lr=1e400 is not a finite number"),
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


class Shaped:
    """Takes values of every kind."""

    def __init__(
        self, n_bits=8, widths: tuple[int, ...] = (), rates: list[float] | None = None, name: str = "", kinds=(1,)
    ):
        pass


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("shaped[widths=(1024,256)]", {"widths": (1024, 256)}),
        ("shaped[widths=[1024,256]]", {"widths": (1024, 256)}),
        ("shaped[rates=(1,.5)]", {"rates": [1.0, 0.5]}),
        ("shaped[rates=None]", {"rates": None}),
        ("shaped[name='a,b']", {"name": "a,b"}),
        ('shaped[name="a|b]"]', {"name": "a|b]"}),
        ("shaped[name=12]", {"name": "12"}),
        ("shaped[name=bf16-mixed]", {"name": "bf16-mixed"}),
        ("shaped[kinds=(1,2,3)]", {"kinds": (1, 2, 3)}),
    ],
)
def test_lists_tuples_and_quoted_texts(text, value):
    (spec,) = parse_methods(text)
    assert typed_params(spec, Shaped) == value


def test_a_grid_of_tuples():
    assert labels("s[widths=(1,2)|(3,4)],itq") == ["s[widths=(1,2)]", "s[widths=(3,4)]", "itq"]


@pytest.mark.parametrize(
    ("text", "column", "why"),
    [
        ("itq,cibhash[beta=1", 12, "not closed"),
        ("itq,cibhash[beta=(1]", 20, "not opened"),
        ("itq]", 4, "not opened"),
        ("a[name='x]", 8, "quotation mark is not closed"),
        ("cibhash[beta=__import__('os')]", 14, "a value is a number"),
        ("cibhash[beta=f(1)]", 14, "a value is a number"),
        ("cibhash[beta=1+x]", 14, "a value is a number"),
        ("a[b[c]=1]", 3, "parameter=value"),
    ],
)
def test_what_cannot_be_read_is_marked(text, column, why):
    with pytest.raises(InputError, match=f"column {column} of .*▸.*{why}"):
        parse_methods(text)


@pytest.mark.parametrize("text", ["shaped[widths=(1,x)]", "shaped[widths=(1,2.5)]", "shaped[widths=3]"])
def test_elements_have_types_too(text):
    with pytest.raises(InputError):
        typed_params(*parse_methods(text), Shaped)


def test_nothing_is_evaluated(tmp_path):
    with pytest.raises(InputError):
        parse_methods(f"cibhash[beta=open({str(tmp_path / 'made')!r},'w')]")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["0", "-3", "abc", "", "16,", "1025", "1.5"])
def test_unusable_bits_are_refused(text):
    with pytest.raises(InputError, match="--bits"):
        parse_integers(text, "--bits", 1, 1024)


def test_repeated_numbers_count_once():
    assert parse_integers("16, 32,16", "--bits", 1, 1024) == [16, 32]
