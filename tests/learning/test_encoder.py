"""Exported encoders against torch."""

import numpy as np
import pytest
import torch
from torch import nn

from hashbench.learning.training.encoder import export_encoder, run_encoder


def trained(module, X):
    """Return a module whose batch normalisation has seen data, in evaluation mode."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d) and part.affine:
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    for _ in range(5):
        module(torch.from_numpy(X))
    return module.eval()


STACKS = {
    "linear": lambda: nn.Linear(6, 4),
    "without bias": lambda: nn.Linear(6, 4, bias=False),
    "two layers": lambda: nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)),
    "batch norm last": lambda: nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 4), nn.BatchNorm1d(4)),
    "batch norm first": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 4)),
    "batch norm after an activation": lambda: nn.Sequential(
        nn.Linear(6, 8), nn.Sigmoid(), nn.BatchNorm1d(8, affine=False), nn.Linear(8, 4)
    ),
    "nested": lambda: nn.Sequential(nn.Sequential(nn.Linear(6, 8), nn.GELU("tanh")), nn.Dropout(), nn.Linear(8, 4)),
    "activations alone": lambda: nn.Sequential(nn.Tanh(), nn.ReLU(), nn.Linear(6, 4), nn.Tanh()),
}


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("scaling", [None, (np.arange(6.0), 3.0), (np.ones(6), np.linspace(1, 2, 6))], ids=str)
def test_the_exported_encoder_equals_torchs(name, scaling):
    X = np.random.default_rng(0).normal(2, 3, (200, 6)).astype(np.float32)
    seen = X if scaling is None else ((X - scaling[0]) / scaling[1]).astype(np.float32)
    module = trained(STACKS[name](), seen)
    learned = export_encoder(module, 6, scaling)
    expected = module(torch.from_numpy(seen)).detach().numpy()
    values = run_encoder(X, learned)
    assert values.dtype == np.float32
    assert np.allclose(values, expected, atol=2e-5)
    affine = name == "linear" and scaling is None
    if affine:
        assert (learned["weights1_"] == module.weight.detach().numpy().T).all()


def test_maps_in_a_row_become_one():
    stack = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 4), nn.ReLU())
    learned = export_encoder(stack.eval(), 6, (np.ones(6), 1.0))
    assert learned["activations_"] == ["relu"]
    assert learned["weights1_"].shape == (6, 4)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1)), "a Softmax cannot be exported to numpy"),
        (nn.Sequential(nn.Linear(6, 4), nn.Sigmoid()), "ends in a sigmoid"),
    ],
    ids=["unknown", "sigmoid"],
)
def test_what_cannot_be_exported(module, message):
    with pytest.raises(TypeError, match=message):
        export_encoder(module, 6)
