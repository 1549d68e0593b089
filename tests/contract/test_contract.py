"""What goes into a method and what comes out of it is checked for every caller."""

from pathlib import Path

import numpy as np
import pytest
from conftest import one_clear_line
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from hashbench import ContractError, HashMethod, InputError, load_model
from hashbench.contract.fit_extras import FIT_EXTRAS, asked_extras, extras_problem
from hashbench.contract.parameters import make_method
from hashbench.records.store import Store


class Mine(HashMethod):
    """Random directions; ``project`` may be replaced."""

    def __init__(self, n_bits=12, *, widths=(4, 2)):
        self.n_bits, self.widths = n_bits, widths

    def fit(self, X, y=None):
        self.directions_ = np.random.default_rng(0).standard_normal((X.shape[1], self.n_bits), dtype=np.float32)
        return self

    def project(self, X):
        return X @ self.directions_


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).standard_normal((1500, 8), dtype=np.float32)


def holed(values, value):
    values[300, 5] = value
    return values


RETURNED = {
    "16 columns": (
        lambda values: np.repeat(values, 2, axis=1),
        r"returned shape \(1024, 24\), expected .* \(1024, 12\)",
    ),
    "1 column": (lambda values: values[:, :1], r"returned shape \(1024, 1\)"),
    "other rows": (lambda values: values[:-1], r"returned shape \(1023, 12\)"),
    "one dimension": (lambda values: values[0], r"returned shape \(12,\)"),
    "a list": (lambda values: values.tolist(), "returned list"),
    "nothing": (lambda values: None, "returned NoneType"),
    "complex": (lambda values: values.astype(complex), "returned dtype complex128"),
    "objects": (lambda values: values.astype(object), "returned dtype object"),
    "NaN": (lambda values: holed(values, np.nan), "returned nan for row 300, bit 5"),
    "infinity": (lambda values: holed(values, -np.inf), "returned -inf for row 300, bit 5"),
}


@pytest.mark.parametrize("carries_nan", [False, True])
@pytest.mark.parametrize(("change", "message"), RETURNED.values(), ids=RETURNED)
def test_what_project_returns_is_checked(X, change, message, carries_nan):
    class Broken(Mine):
        """Returns something else."""

        def project(self, X):
            return change(super().project(X))

    Broken.carries_nan = carries_nan
    with pytest.raises(ContractError, match=rf"^test_contract: project {message}"):
        Broken().fit(X).encode(X)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.uint64])
def test_any_real_numbers_are_values(X, dtype):
    class Rounds(Mine):
        """Returns numbers of another type."""

        def project(self, X):
            return (100 * super().project(X)).clip(0, 100).astype(dtype)

    bits = np.unpackbits(Rounds().fit(X).encode(X), axis=1, count=12)
    assert (bits == (np.trunc(100 * (X @ Rounds().fit(X).directions_)) > 0)).mean() > 0.99


def test_values_whose_squares_overflow_are_finite(X):
    class Large(Mine):
        """Returns numbers whose squares are infinite."""

        def project(self, X):
            return super().project(X) * np.float32(1e30)

    assert (Large().fit(X).encode(X) == Mine().fit(X).encode(X)).all()


def test_nan_in_x_is_x_s_fault_in_every_block(X):
    X = np.concatenate([X, X])
    X[2000, 1] = np.nan
    for carries_nan in (False, True):
        method = Mine().fit(X[:1500])
        method.__class__.carries_nan = carries_nan
        with pytest.raises(ValueError, match="X holds NaN or infinite values, first in row 2000") as caught:
            method.encode(X)
        assert not isinstance(caught.value, ContractError)
    Mine.carries_nan = False


def test_rows_that_only_fill_the_last_block_may_project_to_nan(X):
    class Normalises(Mine):
        """Divides by lengths, which are 0 in the filling."""

        def project(self, X):
            with np.errstate(invalid="ignore"):
                return super().project(X) / np.linalg.norm(X, axis=1, keepdims=True)

    assert (Normalises().fit(X).encode(X) == Mine().fit(X).encode(X)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda method: setattr(method, "n_bits", 1024), "n_bits from 12 to 1024"),
        (lambda method: setattr(method, "widths", (4,)), r"widths from \[4, 2\] to \(4,\)"),
        (lambda method: method.widths.append(1), r"widths from \[4, 2\] to \[4, 2, 1\]"),
    ],
)
def test_fit_may_not_change_a_parameter(X, change, message):
    class Changes(Mine):
        """Changes a parameter while it is fitted."""

        def fit(self, X):
            change(self)
            return super().fit(X)

    method = Changes(widths=[4, 2])
    with pytest.raises(ContractError, match=f"test_contract: fit changed the parameter {message}"):
        method.fit(X)
    assert not hasattr(method, "n_features_in_")


def test_init_may_not_change_a_parameter():
    class Rounds(Mine):
        """Rounds its length."""

        def __init__(self, n_bits=12):
            self.n_bits = n_bits // 8 * 8

    assert make_method(Mine, {"n_bits": 9}).n_bits == 9
    with pytest.raises(ContractError, match="__init__ changed the parameter n_bits from 12 to 8"):
        make_method(Rounds, {"n_bits": 12})


def test_a_parameter_may_be_an_array_or_nan(X):
    for value in (np.arange(3), np.nan, [np.nan]):
        assert Mine(widths=value).fit(X).encode(X).shape == (1500, 2)


def fit_alone(self, X):
    """Take no labels."""
    self.seen_ = X.shape


def fit_by_other_names(self, features, labels):
    """Call the data otherwise."""
    self.seen_ = (features.shape, labels)


def fit_with_views(self, X, views=None):
    """Take views as the second parameter."""
    self.seen_ = views


def fit_with_extras(self, data, target=None, *, log, workdir=None, **rest):
    """Ask for two extras."""
    self.seen_ = (target, log, workdir)


@pytest.mark.parametrize(
    ("fit", "wanted", "extras", "seen"),
    [
        (fit_alone, set(), {}, (1500, 8)),
        (fit_by_other_names, set(), {}, ((1500, 8), "labels")),
        (fit_with_views, {"views"}, {"views": "given"}, "given"),
        (fit_with_extras, {"log", "workdir"}, {"log": 1, "workdir": "new"}, ("labels", 1, Path("new"))),
    ],
)
def test_the_data_is_handed_over_by_position(X, fit, wanted, extras, seen, tmp_path, monkeypatch):
    class Other(Mine):
        """Has a fit of its own."""

    monkeypatch.chdir(tmp_path)  # where the folder of checkpoints is made
    assert asked_extras(fit) == wanted
    method = type("Other", (Mine,), {"fit": fit})()
    assert method.wants() == wanted
    method.fit(X, "labels", **extras)
    assert method.seen_ == seen


def test_the_extras_of_fit_are_listed_once():
    assert set(FIT_EXTRAS) == {"views", "tunable", "validation", "device", "devices", "workdir", "log"}

    class Asks(Mine):
        """Asks for everything."""

        n_views = views_seed = 1

        def fit(self, X, *, views, tunable, validation, device, devices, workdir, log):
            """Do nothing."""

        def n_pool_views(self, n_images):
            return 1

    assert Asks().wants() == set(FIT_EXTRAS)
    assert extras_problem(Asks()) == ""
    Asks.fit = lambda self, X, *, teacher: None
    assert "fit asks for teacher; a run offers device, devices" in extras_problem(Asks())


def test_the_documentation_names_what_fit_may_ask_for():
    table = (Path(__file__).resolve().parents[2] / "docs" / "add-a-method.md").read_text()
    for name in FIT_EXTRAS:
        assert f"`{name}`" in table, name


def test_what_is_not_learned_is_not_saved(X, tmp_path):
    method = Mine().fit(X)
    assert method.backbone_weights_ is None
    assert method.resumed_s_ == 0
    method.save(tmp_path / "mine.safetensors")
    loaded = Mine.load(tmp_path / "mine.safetensors")
    assert "backbone_weights_" not in vars(loaded)
    assert loaded.backbone_weights_ is None
    method.backbone_weights_, method.resumed_s_ = np.ones(3, np.float32), 2.5
    method.save(tmp_path / "tuned.safetensors")
    loaded = Mine.load(tmp_path / "tuned.safetensors")
    assert (loaded.backbone_weights_ == 1).all()
    assert loaded.resumed_s_ == 2.5


def test_a_failed_fit_in_a_parent_class_keeps_its_error():
    class Child(Mine):
        """Hands on what its parent refuses."""

        def fit(self, X):
            return super().fit(X[:1])

    with pytest.raises(ValueError, match="needs at least 2 training rows"):
        Child().fit(np.ones((3, 2)))


BROKEN = '''"""A method that breaks its contract."""
import numpy as np
from hashbench import HashMethod


class Broken(HashMethod):
    """Broken."""

    def __init__(self, n_bits=8):
        self.n_bits = n_bits

    def fit(self, X):
        {fit}
        return self

    def project(self, X):
        return {project}
'''


@pytest.mark.parametrize(
    ("fit", "project", "message"),
    [
        ("pass", "X[:, :16]", "project returned shape (1024, 16)"),
        ("pass", "X[:, :1]", "project returned shape (1024, 1)"),
        ("pass", "X[:, :self.n_bits] * np.nan", "project returned nan for row 0, bit 0"),
        ("self.n_bits = 32", "X[:, :self.n_bits]", "fit changed the parameter n_bits from 12 to 32"),
    ],
)
def test_a_run_records_a_broken_contract_as_failed(tmp_path, cli, fit, project, message):
    plugin = tmp_path / "broken.py"
    plugin.write_text(BROKEN.format(fit=fit, project=project))
    options = ("--plugin", plugin, "--backbone", "pixels", "--bits", 12, "--out", tmp_path / "out")
    done = cli("run", *options, "--methods", "broken,lsh")
    assert done.returncode == 1
    assert message in done.stderr + done.stdout
    records = {record.config["method"]: record for record in Store(tmp_path / "out")}
    assert records["lsh"].status == "ok"
    assert records["broken"].status == "failed"
    assert records["broken"].metrics == {}
    assert f"ContractError: broken: {message}" in records["broken"].error


def test_a_saved_model_with_nan_weights_does_not_encode(model, tmp_path, cli):
    arrays = load_file(model)
    with safe_open(str(model), "numpy") as file:
        header = file.metadata()
    arrays["directions_"] = np.full_like(arrays["directions_"], np.nan)
    damaged = tmp_path / "damaged.safetensors"
    save_file(arrays, damaged, metadata=header)
    vectors = np.ones((5, load_model(model).method.n_features_in_), np.float32)
    with pytest.raises(InputError, match="is damaged"):
        load_model(damaged)
    np.save(tmp_path / "vectors.npy", vectors)
    done = cli("encode", damaged, tmp_path / "vectors.npy", "--out", tmp_path / "codes.npy")
    one_clear_line(done, str(damaged), "is damaged")
    assert not (tmp_path / "codes.npy").exists()
