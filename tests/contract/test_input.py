"""What fit, encode and values take, of methods and quantizers alike; and what is learned belongs to."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError

from hashbench import HashMethod, InputError, load_method, load_quantizer
from hashbench.contract.quantizer import Quantizer


class Labelled(HashMethod):
    """Keeps the labels that it is given; the axes are its directions."""

    supervision = "supervised"

    def __init__(self, n_bits=4, *, scale=1.0):
        self.n_bits, self.scale = n_bits, scale

    def fit(self, X, y=None):
        self.labels_ = y
        return self

    def project(self, X):
        return X[:, : self.n_bits]


class Halves(Quantizer):
    """Keeps the halved mean; refuses a mean above 100 after it has learned half of what there is."""

    def __init__(self, *, scale=1.0):
        self.scale = scale

    def n_bytes(self, n_features):
        return n_features

    def fit(self, X):
        self.first_ = X.mean(axis=0) / 2
        if self.first_[0] > 50:
            raise ValueError("the mean is too large")
        self.second_ = self.first_
        return self

    def encode_block(self, X):
        return np.clip(X - self.second_ + 128, 0, 255).astype(np.uint8)

    def distances(self, queries, codes):
        return -(queries @ codes.T.astype(np.float32))


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)


KINDS = {"method": lambda: load_method("lsh")(8, random_state=0), "quantizer": lambda: load_quantizer("float32")()}
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


@kinds
def test_lists_tables_and_arrays_give_the_same_codes(X, make):
    expected = make().fit(X).encode(X)
    table = pd.DataFrame(X)
    for form in (X.tolist(), table, table.astype("Float64"), np.ma.masked_array(X), X.astype(object), X[::1]):
        assert (make().fit(form).encode(X) == expected).all()
        assert (make().fit(X).encode(form) == expected).all()


def masked(X):
    return np.ma.masked_array(X, np.arange(X.size).reshape(X.shape) == 25)


def put(X, value):
    X = X.astype(float)
    X[7, 2] = value
    return X


UNUSABLE = {
    "sparse": (sparse.csr_matrix, r"Sparse data was passed for X, but dense data is required: .*\.toarray"),
    "masked": (masked, "X holds masked values, first in row 3"),
    "complex": (lambda X: X.astype(complex), "X has dtype complex128, expected a real number type"),
    "text": (lambda X: X.astype(str), "X has dtype <U32, expected a real number type"),
    "objects": (lambda X: [["a"] * 8] * 3, "X has dtype <U1, expected a real number type"),
    "rows of unequal length": (lambda X: [[1.0] * 8, [2.0]], "X is no matrix of numbers"),
    "missing": (lambda X: pd.DataFrame(X).astype("Float64").mask(X > 2), "X (has dtype object|holds NaN)"),
    "NaN": (lambda X: put(X, np.nan), "X holds NaN or infinite values, first in row 7"),
    "too large": (lambda X: put(X, 1e300), r"X holds 1e\+300 in row 7, beyond what float32 holds"),
    "a row": (lambda X: X[0], r"X has shape \(8,\), expected \(n"),
}


@kinds
@pytest.mark.parametrize(("change", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_fit_and_encode_refuse_the_same(X, make, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        make().fit(change(X))
    assert "\n" not in str(caught.value)
    fitted = make().fit(X)
    with pytest.raises(ValueError, match=message):
        fitted.encode(change(X))
    if isinstance(fitted, HashMethod):
        with pytest.raises(ValueError, match=message):
            fitted.values(change(X))


@kinds
def test_columns_are_those_of_fit(X, make, tmp_path):
    table = pd.DataFrame(X, columns=[f"x{i}" for i in range(8)])
    fitted = make().fit(table)
    assert list(fitted.feature_names_in_) == list(table.columns)
    assert (fitted.encode(table) == fitted.encode(X)).all()
    fitted.save(tmp_path / "m.safetensors")
    loaded = type(fitted).load(tmp_path / "m.safetensors")
    assert loaded.feature_names_in_.dtype == fitted.feature_names_in_.dtype
    for one in (fitted, loaded, pickle.loads(pickle.dumps(fitted))):
        with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
            one.encode(table[sorted(table.columns, reverse=True)])
        with pytest.raises(ValueError, match=r"unseen at fit time: price.* now missing: x0"):
            one.encode(table.rename(columns={"x0": "price"}))
    with pytest.raises(TypeError, match="name all of them by text"):
        make().fit(table.rename(columns={"x0": 0}))
    assert not hasattr(fitted.fit(X), "feature_names_in_")
    fitted.encode(table)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0, 1] * 150, np.tile([0, 1], 150)),
        (np.tile([0.0, 1.0], 150), np.tile([0, 1], 150)),
        (np.tile([False, True], 150), np.tile([0, 1], 150)),
        (pd.Series(np.arange(300) % 3, index=np.arange(300)[::-1]), np.arange(300) % 3),
        (pd.Series(np.arange(300) % 3).astype("Int64"), np.arange(300) % 3),
        (np.tile([[0, 1], [1, 1]], (150, 1)), np.tile([[False, True], [True, True]], (150, 1))),
        (np.tile([[True], [False]], (150, 1)), np.tile([[True], [False]], (150, 1))),
        (np.tile([9, 3, 5], 100), np.tile([2, 0, 1], 100)),
    ],
)
def test_labels_become_classes_or_marks(X, given, expected):
    labels = Labelled().fit(X, given).labels_
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == (np.int64 if labels.ndim == 1 else bool)


def test_a_column_of_classes_is_taken_with_a_warning(X):
    with pytest.warns(DataConversionWarning, match="column-vector y"):
        assert Labelled().fit(X, np.arange(300)[:, None]).labels_.shape == (300,)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "learns from labels: give y, a label for each row of X"),
        (np.arange(305), r"y has shape \(305,\), expected \(300,\)"),
        (np.arange(10), r"y has shape \(10,\), expected \(300,\)"),
        (np.zeros((300, 2, 2)), r"y has shape \(300, 2, 2\)"),
        (np.zeros((300, 0)), r"y has shape \(300, 0\)"),
        (np.where(np.arange(300) == 4, np.nan, 1.0), "y holds NaN or infinite values, first in row 4"),
        (np.full(300, 1.5), "y holds 1.5 in row 0: expected classes"),
        (np.tile([[0, 2]], (300, 1)), "holds others than 0 and 1"),
        (["cat"] * 300, "y has dtype <U3, expected .* LabelEncoder"),
        (np.ma.masked_equal(np.arange(300), 5), "y holds masked values, first in row 5"),
        ([[1], [1, 2]] * 150, "y is no matrix of numbers"),
        (np.tile([0, 1, -1], 100), "y holds -1 in row 2: expected classes from 0; leave out rows without a label"),
        (np.full(300, 4), "learns from differences between labels; all 300 training items have the same"),
        (np.ones((300, 3), bool), "all 300 training items have the same"),
    ],
)
def test_labels_that_are_none_are_refused(X, labels, message):
    with pytest.raises(ValueError, match=message):
        Labelled().fit(X, labels)


def test_unsupervised_methods_ignore_labels_of_any_kind(X):
    expected = load_method("itq")(8, random_state=0).fit(X).encode(X)
    assert (load_method("itq")(8, random_state=0).fit(X, ["cat"] * 7).encode(X) == expected).all()
    load_quantizer("float32")().fit(X, ["cat"] * 7)


@pytest.mark.parametrize(
    ("make", "change", "message"),
    [
        (KINDS["method"], {"n_bits": 4}, "n_bits was 8 in fit and is 4 now"),
        (KINDS["method"], {"random_state": 5}, "random_state was 0 in fit and is 5 now"),
        (Halves, {"scale": 4}, "scale was 1.0 in fit and is 4 now"),
    ],
)
def test_parameters_set_after_fit_are_reported(X, make, change, message, tmp_path):
    fitted = make().fit(X)
    fitted.save(tmp_path / "m.safetensors")
    for one in (fitted, type(fitted).load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(fitted))):
        before = one.get_params()
        one.set_params(**change)
        for use in (lambda one=one: one.encode(X), lambda one=one: one.save(tmp_path / "other.safetensors")):
            with pytest.raises(ValueError, match=f"{message}: fit again, or set it back"):
                use()
        assert not (tmp_path / "other.safetensors").exists()
        one.set_params(**before).encode(X)
        one.set_params(**change).fit(X).encode(X)


@pytest.mark.parametrize("make", [Labelled, Halves])
def test_a_refit_that_fails_leaves_nothing_learned(X, make):
    labels = [np.arange(300) % 2] if make is Labelled else []
    fitted = make().fit(X, *labels)
    with pytest.raises(ValueError, match="too large" if make is Halves else "learns from labels"):
        fitted.fit(X + 1000)
    assert not [name for name in vars(fitted) if name.endswith("_")]
    assert vars(fitted) == vars(clone(fitted))
    for use in (lambda: fitted.encode(X), lambda: fitted.save("nowhere.safetensors")):
        with pytest.raises(NotFittedError):
            use()
    fitted.fit(X, *labels).encode(X)


def test_a_refit_keeps_nothing_of_the_earlier_one(X):
    class Remembers(Labelled):
        """Learns a value only from a mean above 1."""

        supervision = "unsupervised"

        def fit(self, X):
            self.mean_ = X.mean()
            if self.mean_ > 1:
                self.large_ = True

    method = Remembers()
    method.fit(pd.DataFrame(X + 9, columns=[f"x{i}" for i in range(8)]))
    assert {"large_", "feature_names_in_"} <= set(vars(method))
    method.fit(X)
    assert not {"large_", "feature_names_in_"} & set(vars(method))


def test_the_folder_of_checkpoints_may_be_text(X, tmp_path):
    class Writes(Labelled):
        """Keeps its folder."""

        supervision = "unsupervised"

        def fit(self, X, *, workdir=None):
            (workdir / "state").write_bytes(b"")

    Writes().fit(X, workdir=str(tmp_path / "new" / "folder"))
    assert (tmp_path / "new" / "folder" / "state").is_file()
    with pytest.raises(InputError, match=r"holds a checkpoint of another training \(other parameters\)"):
        Writes(scale=2.0).fit(X, workdir=tmp_path / "new" / "folder")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"workdir .*file: no folder can be there"):
        Writes().fit(X, workdir=tmp_path / "file")
    with pytest.raises(InputError, match="workdir=5: expected the path of a folder"):
        Writes().fit(X, workdir=5)
