"""SDC: codes whose cosines have a Beta distribution, in the order of the features' cosines."""

from __future__ import annotations

import numpy as np

from hashbench.contract.search_space import log_range
from hashbench.learning.pairs import PairMethod


class SDC(PairMethod):
    """Similarity distribution calibration: pairs keep the features' order of cosines, not their values.

    Source: Ng, Zhu, Hoe, Chan, Zhang, Song and Xiang, Unsupervised hashing with similarity distribution calibration,
    BMVC 2023, and the authors' code. A perceptron with one hidden layer of GELU ends in batch normalisation, whose
    outputs v are continuous while it trains. The first half of a batch is paired with the second, N/2 pairs. The pair
    whose features have the r-th smallest cosine gets the target 2 F⁻¹((2r − 1)/N) − 1, where F is the distribution
    function of Beta(β, β). The loss is the mean of |cos(v_i, v_j) − target| plus the weighted mean of 1 − cos(v, sign
    v).

    Where it differs from the authors' code: features are centred (``center=False`` is theirs), which changes their
    cosines' order. The number of steps is kept instead of the number of epochs: 7,800 are their 100 epochs of 5,000
    rows. The sign of 0 is −1. This is their variant on features alone, without a contrastive loss between augmented
    views. The hidden layer is as wide as the features, as in the code; the supplement says 4,096.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    hidden : int or None
        Width of the hidden layer; None is the number of features.
    beta : float
        Both shape parameters of the Beta distribution; 1 is uniform, larger values concentrate the cosines around 0.
    quantization : float
        Weight of the outputs' distance from their signs.
    center : bool
        Whether the training set's mean row is subtracted from features, before the network and before their cosine.
    batch_size : int
        Training rows per step, an even number; batches that are not full are left out.
    epochs : int or None
        Passes over the training set; None is the number that gives 7,800 steps. For the last fifth of them the learning
        rate is divided by 10.
    lr, weight_decay : float
        Learning rate and weight decay of Adam.
    precision : {"32-true", "tf32", "bf16-mixed", "16-mixed"}
        Lightning Fabric's precision of the training.
    random_state : int or None
        Seed of initial weights and of the rows' order.

    Attributes
    ----------
    weights1_, bias1_, weights2_, bias2_ : ndarray, float32
        The two layers; the second includes the batch normalisation, with its running statistics.

    Fidelity
    --------
    Compared with the authors' network and loss on the same CIFAR-10 features and batches, 32 bits, 780 steps, 2 seeds:
    losses equal to 2e-8, mAP@1000 .4061 for both; .4139 for theirs with other batches (standard deviation .0045).
    """

    paper = "Ng et al., BMVC 2023"
    default_steps = 7_800
    full_batches = True

    hidden: int | None = None
    beta: float = 5.0
    quantization: float = 1.0
    lr: float = 1e-4
    weight_decay: float = 1e-5

    search = {
        "lr": log_range(1e-5, 1e-2),
        "beta": log_range(1.0, 20.0),
        "quantization": log_range(0.01, 10.0),
        "hidden": [None, 1024, 4096],
        "center": [True, False],
        "batch_size": [32, 64, 128, 256],
    }

    def network(self, n_features):
        """Return a perceptron that ends in batch normalisation."""
        from torch import nn

        hidden = self.hidden or n_features
        layers = [nn.Linear(n_features, hidden), nn.GELU(), nn.Linear(hidden, self.n_bits), nn.BatchNorm1d(self.n_bits)]
        return nn.Sequential(*layers)

    def begin(self, trainer):
        """Compute the targets once: all batches have the same number of pairs."""
        import torch

        targets = beta_quantiles(self.batch_size // 2, self.beta)
        trainer.constants["targets"] = torch.from_numpy(targets).float().to(trainer.fabric.device)

    def loss(self, outputs, batch):
        """Return the distance of the pairs' cosines from the targets of their ranks, plus the distance from signs."""
        import torch
        from torch.nn.functional import cosine_similarity, l1_loss

        order = cosine_similarity(*batch.features.chunk(2)).argsort(stable=True)
        calibration = l1_loss(cosine_similarity(*outputs.chunk(2))[order], batch.constants["targets"])
        signs = torch.where(outputs > 0, 1.0, -1.0)
        quantization = (1 - cosine_similarity(outputs, signs)).mean()
        terms = {"calibration": calibration, "quantization": quantization}
        return {"loss": calibration + self.quantization * quantization, **terms}

    def start_epoch(self, trainer, epoch):
        """Divide the learning rate by 10 for the last fifth of the epochs."""
        trainer.scale_rates(0.1 if epoch > 4 * trainer.epochs // 5 else 1.0)

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("hidden", self.hidden is None or self.hidden >= 1, "at least 1"),
            ("beta", self.beta > 0, "above 0"),
            ("quantization", self.quantization >= 0, "at least 0"),
        ]


def beta_quantiles(n_pairs: int, beta: float) -> np.ndarray:
    """Return the targets of pairs by ascending cosine, in [−1, 1], shape (n_pairs,), float64."""
    from scipy.special import betaincinv

    levels = (2 * np.arange(1, n_pairs + 1) - 1) / (2 * n_pairs)
    return 2 * betaincinv(beta, beta, levels) - 1
