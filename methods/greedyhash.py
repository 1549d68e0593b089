"""GreedyHash, unsupervised: binary codes that keep the cosines of pairs, by a straight-through gradient."""

from __future__ import annotations

from hashbench.contract.search_space import log_range
from hashbench.learning.pairs import PairMethod


class GreedyHash(PairMethod):
    """GreedyHash without labels: one linear layer whose signs keep the cosines of pairs of features.

    Source: Su, Zhang, Han and Tian, Greedy Hash: towards fast optimization for accurate hash coding in CNN, NeurIPS
    2018, and the authors' code for the unsupervised case. The sign's gradient is passed straight through. The first
    half of a batch is paired with the second. The loss is the mean squared difference between the pairs' cosines of
    codes and of features, plus a penalty, the mean of | |h| − 1 |³ over the layer's outputs h.

    Where it differs from the authors' code: features are centred (``center=False`` is theirs), because cosines of
    non-negative features are all high, and most bits would be constant. The learning rate is ten times theirs, which
    suits the scale of VGG16's fc7. Training has 20,000 steps; theirs has 94,000 on 50,000 images, or 469,000 at 16
    bits. The last weights are kept; the authors keep those that are best on the test queries. The sign of 0 is −1.
    Their VGG16 applies dropout to features in training; here features are fixed.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    penalty : float
        Weight of the penalty.
    momentum : float
        Momentum of stochastic gradient descent.
    center : bool
        Whether the training set's mean row is subtracted from features, before the layer and before their cosine.
    batch_size : int
        Training rows per step, an even number of at least 4. The last row of an odd batch, which can be the last of an
        epoch, is left out.
    epochs : int or None
        Passes over the training set; None is the number that gives 20,000 steps.
    lr, weight_decay : float
        Learning rate and weight decay of stochastic gradient descent.
    precision : {"32-true", "tf32", "bf16-mixed", "16-mixed"}
        Lightning Fabric's precision of the training.
    random_state : int or None
        Seed of initial weights and of the rows' order.

    Attributes
    ----------
    weights1_, bias1_ : ndarray, float32
        The layer, ``X @ weights1_ + bias1_``; the bias includes the subtraction of the mean.

    Fidelity
    --------
    Compared with the authors' layer and loop on the same features and batches: 11 of 12 loss curves and their mAP are
    equal bit for bit, the twelfth is within .16 %.
    """

    paper = "Su et al., NeurIPS 2018"
    default_steps = 20_000

    penalty: float = 0.1
    momentum: float = 0.9
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 5e-4

    search = {
        "lr": log_range(3e-5, 3e-2),
        "weight_decay": log_range(1e-5, 1e-2),
        "penalty": log_range(1e-3, 10.0),
        "center": [True, False],
        "batch_size": [32, 64, 128],
    }

    def network(self, n_features):
        """Return one linear layer."""
        from torch import nn

        return nn.Linear(n_features, self.n_bits)

    def loss(self, outputs, batch):
        """Return the difference of the pairs' cosines, plus the penalty."""
        from torch.nn.functional import cosine_similarity, mse_loss

        from hashbench.learning.layers import binarize

        codes, features = binarize(outputs).chunk(2), batch.features.chunk(2)
        similarity = mse_loss(cosine_similarity(*codes), cosine_similarity(*features))
        penalty = ((outputs.abs() - 1).abs() ** 3).mean()
        return {"loss": similarity + self.penalty * penalty, "similarity": similarity, "penalty": penalty}

    def optimizers(self, network):
        """Return stochastic gradient descent with momentum."""
        from torch.optim import SGD

        return SGD(network.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("penalty", self.penalty >= 0, "at least 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
        ]
