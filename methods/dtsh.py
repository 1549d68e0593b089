"""DTSH: an item is nearer to those of its class than to others, by a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hashbench.contract.search_space import log_range
from hashbench.learning.losses.linear_layer import LinearLayerMethod

if TYPE_CHECKING:
    from torch import Tensor


class DTSH(LinearLayerMethod):
    """Deep triplet-supervised hashing: the likelihood that a positive's inner product is above a negative's.

    Source: Wang, Shi and Kitani, Deep supervised hashing with triplet labels, ACCV 2016; settings as in
    DeepHash-pytorch. Positives of an item are those of its batch that share a label with it, itself too, negatives all
    others. Minimised is −log σ(u · p − u · n − ``margin``), its mean over the positives p and negatives n of an item u,
    and then over the items that have both, plus ``penalty`` times the mean of (u − sign u)². Of a batch without
    positives or without negatives the penalty remains.

    Where it differs: one linear layer is trained, and the features too only where ``finetune`` is given; ``lr`` is
    DeepHash-pytorch's (1e-5) times ten, its margin is the paper's for inner products that are not halved. Steps are
    kept rather than epochs: 6,000 are its 150 epochs of 5,000 rows. The last weights are kept; theirs are those that do
    best on the test queries.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    margin : float
        By how much a positive's inner product is to be greater.
    penalty : float
        Weight of what draws outputs to their signs.
    batch_size : int
        Training rows per step.
    epochs : int or None
        Passes over the training set; None is as many as it takes for 6,000 steps.
    lr, weight_decay : float
        Learning rate and weight decay of RMSprop.
    precision, select, views_seed, finetune
        See `hashbench.learning.supervised.SupervisedMethod`.
    random_state : int or None
        Seed of initial weights and of the rows' order.

    Attributes
    ----------
    weights1_, bias1_ : ndarray, float32
        The layer, ``X @ weights1_ + bias1_``.

    Fidelity
    --------
    Compared with DeepHash-pytorch's loss on the same outputs, for classes and for several labels an item: equal within
    1e-6, and so are gradients. On the same CIFAR-10 features, initial weights and batches, 32 bits, 4 epochs, 1 seed:
    equal loss curves, mAP@all .4632 for both (a sixth of the database).
    """

    paper = "Wang et al., ACCV 2016"
    default_steps = 6_000

    margin: float = 5.0
    penalty: float = 1.0
    batch_size: int = 128

    search = {
        "lr": log_range(3e-6, 3e-3),
        "weight_decay": log_range(1e-6, 1e-3),
        "margin": log_range(0.5, 50.0),
        "penalty": log_range(1e-2, 100.0),
        "batch_size": [64, 128, 256],
    }

    def loss(self, outputs, batch):
        """Return the triplets' negative log-likelihood, plus what draws outputs to their signs."""
        from hashbench.learning.losses.pairs import share_label

        triplets = triplet_loss(outputs @ outputs.T, share_label(batch.labels, batch.labels), self.margin)
        penalty = (outputs - outputs.sign()).square().mean()
        return {"loss": triplets + self.penalty * penalty, "triplets": triplets, "penalty": penalty}

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("margin", self.margin >= 0, "at least 0"),
            ("penalty", self.penalty >= 0, "at least 0"),
        ]


def triplet_loss(products: Tensor, similar: Tensor, margin: float) -> Tensor:
    """Return the mean negative log-likelihood of triplets, each item with both kinds of others counting the same.

    Parameters
    ----------
    products, similar : Tensor of shape (n, n), float and bool
        Inner products, and which items share a label.
    margin : float
    """
    from hashbench.learning.losses.likelihood import LogSigmoid

    n_positives, n_negatives = similar.sum(dim=1), (~similar).sum(dim=1)
    anchor, positive = similar.nonzero(as_tuple=True)
    ahead = (products[anchor, positive][:, None] - products[anchor] - margin).clamp(-100, 50)
    sums = -(LogSigmoid.apply(ahead) * ~similar[anchor]).sum(dim=1)
    means = sums / (n_positives * n_negatives)[anchor].clamp(min=1)
    return means.sum() / (n_positives * n_negatives > 0).sum().clamp(min=1)
