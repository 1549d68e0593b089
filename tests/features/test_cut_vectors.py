"""Vectors cut to their first dimensions."""

import numpy as np
import pytest

from hashbench.errors import Unsupported
from hashbench.features.cut import BLOCK_ROWS, CutVectors, cut
from hashbench.features.source import Features


def vectors(n=300, d=12):
    return np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)


def test_unit_vectors_become_unit_vectors_as_a_user_of_matryoshka_has_them():
    X = vectors()
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    expected = X[:, :5] / np.linalg.norm(X[:, :5], axis=1, keepdims=True)
    np.testing.assert_allclose(CutVectors(X, 5)[:300], expected, rtol=1e-6)


def test_other_vectors_keep_direction_and_length(tmp_path):
    X = (vectors() * np.linspace(0.1, 30, 300)[:, None]).astype(np.float16)
    X[7, :4] = 0
    np.save(tmp_path / "x.npy", X)
    data = CutVectors(np.load(tmp_path / "x.npy", mmap_mode="r"), 4)
    assert (len(data), data.shape) == (300, (300, 4))
    rows = np.array([299, 7, 7, 0])
    kept, whole = data[rows], X[rows].astype(np.float32)
    assert kept.dtype == np.float32
    assert not kept[1:3].any()
    moved = [0, 3]
    np.testing.assert_allclose(np.linalg.norm(kept, axis=1)[moved], np.linalg.norm(whole, axis=1)[moved], rtol=1e-6)
    cosine = (kept * whole[:, :4]).sum(axis=1) / np.linalg.norm(kept, axis=1).clip(1e-9)
    np.testing.assert_allclose(cosine, np.linalg.norm(whole[:, :4], axis=1), rtol=1e-6)


def test_all_dimensions_are_the_vectors_themselves_block_by_block():
    X = vectors(BLOCK_ROWS + 5)
    assert (CutVectors(X, 12)[: len(X)] == X).all()
    assert (CutVectors(X, 3)[2:] == CutVectors(X[2:], 3)[: len(X)]).all()


def test_features_without_dims_are_left_alone_and_too_many_are_refused():
    features = Features(vectors(), {"backbone": None}, 0.0, None)
    assert cut(features, None) is features
    with pytest.raises(Unsupported, match="dims=13: the vectors have 12 dimensions"):
        cut(features, 13)
