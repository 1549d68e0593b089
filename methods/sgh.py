"""SGH: stochastic generative hashing, codes from which a linear decoder rebuilds the features."""

from __future__ import annotations

import numpy as np

from hashbench.contract.search_space import log_range
from hashbench.learning.centred import CentredMethod
from hashbench.learning.linear import blocks, mean

LEAST_SCALE = 1e-7
"""Least scale of a decoded feature, as in the authors' code."""


class SGH(CentredMethod):
    """Stochastic generative hashing: a linear encoder's bits, trained so that a linear decoder rebuilds the features.

    Source: Dai, Guo, Kumar, He and Song, Stochastic generative hashing, ICML 2017, and the authors' code. With logits h
    = x W + b, probabilities p = σ(h) and bits y = [p > ½] in {0, 1}, the decoder gives x̂ = (y U) |s| + m. The loss is
    ½ ‖x̂ − x‖² + α BCE(h; y), summed over a batch, plus ½ β (‖U‖² + ‖W‖²). The gradient of the bits is passed straight
    through to p. Initially m is the mean of the features, s their variance, and W, b and U are Gaussian.

    Where it differs from the paper: as in the authors' code, p is thresholded at ½ where the paper samples, the bits
    have no prior, and the cross entropy is added where the paper's bound subtracts it (as a negative ``alpha`` does).
    Where it differs from the code: features are centred (``center=False`` is theirs, for pixels in [0, 1]), because
    nearly all bits would be constant on features of networks. Batches are drawn without replacement, and are half as
    large, so that small training sets fill one. W is penalised as in their script, not as in their notebook.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    alpha : float
        Weight of the bits' cross entropy; negative rewards uncertain bits.
    center : bool
        Whether the training set's mean row is subtracted from features.
    batch_size : int
        Training rows per step; batches that are not full are left out.
    epochs : int or None
        Passes over the training set; None is the number that gives 5,000 steps.
    lr : float
        Learning rate of Adam.
    weight_decay : float
        Weight β of the squared weights of encoder and decoder.
    precision : {"32-true", "tf32", "bf16-mixed", "16-mixed"}
        Lightning Fabric's precision of the training.
    random_state : int or None
        Seed of initial weights and of the rows' order.

    Attributes
    ----------
    weights1_, bias1_ : ndarray, float32
        The encoder, ``X @ weights1_ + bias1_``; the bias includes the subtraction of the mean.

    Fidelity
    --------
    Compared with the authors' TensorFlow script on the same centred CIFAR-10 features and batches of 500, 32 bits, 500
    steps, 2 seeds: losses within .5 %, mAP@1000 .3878 here, .3871 theirs; .3864 for theirs with other batches.
    """

    full_batches = True
    paper = "Dai et al., ICML 2017"

    alpha: float = 1e-3
    batch_size: int = 250
    lr: float = 1e-2
    weight_decay: float = 1e-3

    search = {
        "lr": log_range(1e-4, 1e-1),
        "alpha": [-1e-1, -1e-3, 1e-3, 1e-1],
        "weight_decay": log_range(1e-5, 1e-1),
        "center": [True, False],
        "batch_size": [125, 250, 500],
    }

    def network(self, n_features):
        """Return encoder and decoder; the decoder's scale and shift are set by ``begin``."""
        import torch
        from torch import nn

        from hashbench.learning.layers import binarize

        class Autoencoder(nn.Module):
            def __init__(self, n_bits):
                super().__init__()
                self.encoder = nn.Linear(n_features, n_bits)
                nn.init.normal_(self.encoder.weight, std=n_features**-0.5)
                nn.init.normal_(self.encoder.bias)
                self.decoder = nn.Parameter(torch.randn(n_bits, n_features) / n_bits**0.5)
                self.scale = nn.Parameter(torch.ones(n_features))
                self.shift = nn.Parameter(torch.zeros(n_features))

            def forward(self, features):
                logits = self.encoder(features)
                bits = binarize(logits.sigmoid(), threshold=0.5, low=0.0)
                return logits, bits, bits @ self.decoder * self.scale.abs() + self.shift

        return Autoencoder(self.n_bits)

    def begin(self, trainer):
        """Start from the features' mean and variance."""
        import torch

        X = trainer.data.X
        centre = mean(X)
        variance = sum(np.square(block - centre).sum(axis=0) for block in blocks(X)) / len(X)
        with torch.no_grad():
            trainer.network.shift.copy_(torch.from_numpy(np.zeros_like(centre) if self.center else centre))
            trainer.network.scale.copy_(torch.from_numpy(np.maximum(variance, LEAST_SCALE)))

    def loss(self, outputs, batch):
        """Return the error of decoding plus the bits' cross entropy; both are logged per row."""
        from torch.nn.functional import softplus

        logits, bits, decoded = outputs
        error = (decoded - batch.features).square().sum() / 2
        entropy = (softplus(logits) - logits * bits).sum()
        per_row = {"error": error / len(batch.features), "entropy": entropy / len(batch.features)}
        return {"loss": error + self.alpha * entropy, **per_row}

    def optimizers(self, network):
        """Return Adam; its weight decay is the penalty of W and U."""
        from torch.optim import Adam

        penalised = [network.encoder.weight, network.decoder]
        others = [network.encoder.bias, network.scale, network.shift]
        groups = [{"params": penalised}, {"params": others, "weight_decay": 0.0}]
        return Adam(groups, lr=self.lr, weight_decay=self.weight_decay, fused=True)

    def encoder(self, network):
        """Return the encoder."""
        return network.encoder

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        finite = ("alpha", bool(np.isfinite(self.alpha)), "a finite number")
        return [*super().limits(n_items, device, devices), finite]
