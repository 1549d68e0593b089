"""The compiled GELU against scipy's normal distribution in float64."""

import numpy as np
import pytest
from scipy.special import ndtr

from hashbench.learning.training.gelu import gelu


def test_gelu_is_within_rounding_of_its_definition():
    values = np.concatenate([np.linspace(-12, 12, 400_001), [0.0, -0.0, 1e-30, -1e30, 1e30]]).astype(np.float32)
    exact = values.astype(np.float64) * ndtr(values.astype(np.float64))
    assert (np.abs(gelu(values.copy()) - exact) <= 4e-7 * (1 + np.abs(values))).all()


def test_values_are_replaced_in_place_and_nan_stays():
    values = np.array([[1.0, np.nan], [np.inf, -2.0]], np.float32)
    assert gelu(values) is values
    assert values[0, 0] == pytest.approx(ndtr(1.0))
    assert np.isnan(values[0, 1])
    assert values[1, 0] == np.inf
