"""Codes of portable methods and quantizers: whatever kernel, number of threads or last bits a library's sums have."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
from portable_data import CORES, SETS, codes_of, portable_names, some_labels, usable_cores

import hashbench
from hashbench.learning.linear import mean
from hashbench.learning.portable.decisions import UNIT, decide_linear
from hashbench.learning.principal import _scatter, centred_values, principal_axes


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("core", CORES)
def test_another_kernel_gives_the_same_codes(core, threads, tmp_path):
    usable, _ = usable_cores()
    if core not in usable:
        pytest.skip(f"this processor has no {CORES[core]}, compared are {', '.join(usable)}")
    environment = {**os.environ, "OPENBLAS_CORETYPE": core, "OMP_NUM_THREADS": str(threads)}
    environment |= {"OPENBLAS_NUM_THREADS": str(threads)}
    file = Path(__file__).parents[1] / "helpers" / "portable_data.py"
    done = subprocess.run(
        [sys.executable, str(file), "digits", "ties"], env=environment, capture_output=True, text=True, check=True
    )
    expected = {f"{data} {name}": digest for data in ("digits", "ties") for name, digest in codes_of(data).items()}
    assert dict(line.rsplit(" ", 1) for line in done.stdout.splitlines()) == expected


def forbidden(*arguments, **keywords):
    raise AssertionError("a decomposition whose last bits depend on the processor")


@pytest.mark.parametrize("data", SETS)
def test_no_decomposition_of_a_library_is_used(data, monkeypatch):
    for module, names in (
        (np.linalg, ("eigh", "svd", "qr", "inv", "solve", "norm")),
        (scipy.linalg, ("eigh", "svd", "qr")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, forbidden)
    for name in portable_names("methods"):
        assert codes_of(data, [name])


def test_single_precision_products_may_be_off():
    """Every product that ``project`` begins with may err by what its bound allows; no bit follows."""
    X, rng = SETS["relu"]() + np.float32(20), np.random.default_rng(1)
    for name in ("itq", "lsh", "pcah", "rr"):
        method = hashbench.load_method(name)(16, **({} if name == "pcah" else {"random_state": 0})).fit(X)
        codes, directions = method.encode(X), method.directions_
        reach = np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(directions, axis=0)
        exact = X.astype(np.float64) @ directions - method.offset_
        error = (X.shape[1] + 2) * UNIT * reach * rng.uniform(-1, 1, exact.shape)
        values = (exact + error).astype(np.float32)
        turned = (values > 0) != (exact > 0)
        decide_linear(X, values, np.ascontiguousarray(directions.T, np.float64), method.offset_)
        assert np.array_equal(np.packbits(values > 0, axis=1), codes)
        assert turned.any()  # or the lines above say nothing


def test_large_products_are_exact():
    """Terms added in another order give the same bits, which only sums without rounding do."""
    X, order = SETS["relu"](), np.random.default_rng(0).permutation(160)
    centre, directions = principal_axes(X, 16, "test")
    values = centred_values(X, centre, directions)
    assert np.array_equal(centred_values(X[:, order].copy(), centre[order], directions[order]), values)
    rows, step = np.random.default_rng(1).permutation(len(X)), np.full(160, 2.0**-19)
    for fine in (None, step * 2.0**-21):
        one, other = (np.triu(_scatter(some, mean(X), step, fine)) for some in (X, X[rows]))
        assert np.array_equal(one, other)
    plain = X.astype(np.float64) - mean(X)
    assert values == pytest.approx(plain @ directions, abs=1e-4)


@pytest.mark.parametrize("power", [-80, -30, 30, 60])
@pytest.mark.parametrize("name", portable_names("methods"))
def test_a_power_of_two_changes_no_code(name, power):
    X = SETS["relu"]()[:400]
    method = hashbench.load_method(name)
    params = {"n_bits": 8, "n_anchors": 40, "random_state": 0}
    params = {key: value for key, value in params.items() if key in method().get_params()}
    one, other = (method(**params).fit(rows, some_labels(X)) for rows in (X, np.ldexp(X, power)))
    assert np.array_equal(one.encode(X), other.encode(np.ldexp(X, power)))
