"""Log-likelihoods and the contrastive loss whose gradients are written out, beside autograd's in float64."""

import pytest
import torch
from hashbench.methods.dsh import contrastive
from torch.nn.functional import logsigmoid, softplus

from hashbench.learning.losses.likelihood import LogSigmoid, PairLikelihood

GENERATOR = torch.Generator().manual_seed(0)
U, OTHERS = (torch.randn(shape, generator=GENERATOR).double() * 3 for shape in ((7, 4), (9, 4)))
SIMILAR = torch.rand(7, 9, generator=GENERATOR) < 0.3


def plain_contrastive(u, others, similar):
    d = (u[:, None] - others).square().sum(dim=2)
    return torch.where(similar, d, (8.0 - d).clamp(min=0)).mean() / 2


def plain_likelihood(u, others, similar):
    t = u @ others.T / 2
    return (softplus(t) - similar * t).mean()


@pytest.mark.parametrize(
    ("ours", "plain"),
    [(PairLikelihood.apply, plain_likelihood), (lambda *of: contrastive(*of, 8.0), plain_contrastive)],
)
def test_a_loss_of_pairs_and_its_gradient(ours, plain):
    values = []
    for loss in (ours, plain):
        u = U.clone().requires_grad_()
        (3 * loss(u, OTHERS, SIMILAR)).backward()
        values.append((loss(U, OTHERS, SIMILAR), u.grad))
    torch.testing.assert_close(*values, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_sigmoid_and_its_gradient_over_the_whole_range(dtype):
    x = torch.tensor([-1e4, -100, -20, -3, -1e-3, 0, 1e-3, 3, 20, 100, 1e4], dtype=dtype)
    results = []
    for function in (LogSigmoid.apply, logsigmoid):
        inputs = x.clone().requires_grad_()
        function(inputs).sum().backward()
        results.append((function(x), inputs.grad))
    torch.testing.assert_close(*results, rtol=1e-6, atol=1e-7)
