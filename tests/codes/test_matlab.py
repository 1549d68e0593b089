"""MATLAB files of all kinds, as scipy writes them."""

import numpy as np
import pytest
from scipy.io import savemat

from hashbench.codes.files import open_arrays
from hashbench.errors import InputError

RNG = np.random.default_rng(0)
ARRAYS = {
    "codes": np.where(RNG.random((3000, 48)) < 0.5, 1, -1).astype(np.int8),
    "real": RNG.standard_normal((40, 7)),
    "single": RNG.standard_normal((1, 5)).astype(np.float32),
    "logical": RNG.random((9, 3)) < 0.5,
    **{name: RNG.integers(0, 100, (4, 3)).astype(name) for name in ("uint8", "int16", "uint16", "int32", "uint32")},
    "cube": RNG.integers(0, 100, (2, 3, 4)).astype(np.int64),
}


@pytest.mark.parametrize("compressed", [False, True])
def test_matrices_are_what_was_written(compressed, tmp_path):
    struct = {"qB": ARRAYS["codes"][:5], "inner": {"rB": ARRAYS["real"]}, "net": {"weights": np.ones(4)}, "text": "x"}
    everything = {**ARRAYS, "result": struct, "cell": np.array([1, "a"], object), "z": np.ones((2, 2)) * 1j}
    savemat(tmp_path / "m.mat", everything, do_compression=compressed)
    arrays = open_arrays(tmp_path / "m.mat")
    expected = {**ARRAYS, "result.qB": ARRAYS["codes"][:5], "result.inner.rB": ARRAYS["real"]}
    assert set(arrays) == set(expected)
    for name, array in expected.items():
        stored = arrays[name]
        assert stored.shape == array.shape
        np.testing.assert_array_equal(stored.read() if stored.mapped is None else stored.mapped, array)
        assert stored.dtype == (np.uint8 if array.dtype == bool else array.dtype)


def test_a_large_compressed_matrix_is_read_whole(tmp_path):
    codes = RNG.integers(0, 2, (60_000, 32)).astype(float)
    savemat(tmp_path / "m.mat", {"codes": codes}, do_compression=True)
    np.testing.assert_array_equal(open_arrays(tmp_path / "m.mat")["codes"].read(), codes)


def test_version_4_is_refused(tmp_path):
    savemat(tmp_path / "m.mat", {"codes": np.ones((3, 8))}, format="4")
    with pytest.raises(InputError, match="save it with -v7"):
        open_arrays(tmp_path / "m.mat")
