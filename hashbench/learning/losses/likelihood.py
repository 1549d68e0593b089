"""Log-likelihoods of shared labels, without torch's log1p, which on a CPU takes five times as long as a logarithm."""

from typing import Any

import torch
from torch import Tensor


class LogSigmoid(torch.autograd.Function):
    """log σ(x), as ``LogSigmoid.apply(x)``: min(x, 0) + log σ(|x|), whose gradient is σ(−x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return log σ(x)."""
        ctx.save_for_backward(x)
        return x.abs().sigmoid_().log_().add_(x.clamp(max=0))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Return the gradient for x."""
        return (-ctx.saved_tensors[0]).sigmoid_().mul_(gradients[0])


class PairLikelihood(torch.autograd.Function):
    """Mean over pairs of log(1 + eᵗ) − S t, with t = ½ u · U: the negative log-likelihood of DPSH.

    ``PairLikelihood.apply(outputs, others, similar)`` takes u, (n, K), U, (m, K), and S, (n, m) bool. Only u gets a
    gradient. It is known with the value; autograd would keep several (n, m) matrices and pass over them again.
    """

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, others: Tensor, similar: Tensor) -> Tensor:
        """Return the mean, and keep its gradient."""
        products, marked = (outputs / 2) @ others.T, similar.to(outputs.dtype)
        chances = products.sigmoid()
        # log(1 + eᵗ) = max(t, 0) − log max(σ(t), 1 − σ(t))
        logs = torch.maximum(chances, 1 - chances).log_()
        total = (products.clamp(min=0) - logs).sum() - torch.dot(products.flatten(), marked.flatten())
        ctx.save_for_backward(chances.sub_(marked) @ others / (2 * similar.numel()))
        return total / similar.numel()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient for u."""
        return gradients[0] * ctx.saved_tensors[0], None, None
