"""HashNet: a tanh that grows steeper while similar and dissimilar pairs count the same."""

from __future__ import annotations

from hashbench.contract.search_space import log_range
from hashbench.learning.labelled.linear_layer import LinearLayerMethod


class HashNet(LinearLayerMethod):
    """HashNet: the likelihood of shared labels, balanced over both kinds of pairs, by continuation of the sign.

    Source: Cao, Long, Wang and Yu, HashNet: deep learning to hash by continuation, ICCV 2017; settings as in
    DeepHash-pytorch. Codes are tanh(s u) of outputs u. For each pair of a batch, an item with itself too, t = ``alpha``
    times the codes' inner product, and S = 1 where they share a label, else 0; minimised is the mean of log(1 + eᵗ) − S
    t over similar pairs, plus that over dissimilar ones. The scale s is √1, √2, … √8, one for each 20 of 150 epochs; of
    more or fewer epochs each has the same share.

    Where it differs: one linear layer is trained, and the features too only where ``finetune`` is given; ``lr`` is
    DeepHash-pytorch's (1e-5) times ten. The authors' code takes ``alpha`` = 10/K, two batches of 36, stochastic
    gradient descent, and s = √(1 + .005 i) for iteration i. Steps are kept rather than epochs: 11,850 are 150 epochs of
    5,000 rows. The last weights are kept; theirs are those that do best on the test queries.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    alpha : float
        What inner products are multiplied by.
    batch_size : int
        Training rows per step.
    epochs : int or None
        Passes over the training set; None is as many as it takes for 11,850 steps.
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
    1e-6, and so are gradients. On the same CIFAR-10 features, initial weights and batches, 32 bits, 6 epochs, 1 seed:
    equal loss curves, mAP@all .5373 for both (a sixth of the database).
    """

    paper = "Cao et al., ICCV 2017"
    default_steps = 11_850

    alpha: float = 0.1

    search = {
        "lr": log_range(3e-6, 3e-3),
        "weight_decay": log_range(1e-6, 1e-3),
        "alpha": log_range(0.01, 1.0),
        "batch_size": [32, 64, 128],
    }

    def start_epoch(self, trainer, epoch):
        """Make the tanh steeper after each 20 of 150 epochs."""
        trainer.constants["scale"] = (15 * (epoch - 1) // (2 * trainer.epochs) + 1) ** 0.5

    def loss(self, outputs, batch):
        """Return the negative log-likelihood, balanced over both kinds of pairs."""
        from torch.nn.functional import softplus

        from hashbench.learning.labelled.pairs import balanced_mean, share_label

        codes = (batch.constants["scale"] * outputs).tanh()
        similar = share_label(batch.labels, batch.labels)
        products = self.alpha * codes @ codes.T
        return {"loss": balanced_mean(softplus(products) - similar * products, similar)}

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [*super().limits(n_items, device, devices), ("alpha", self.alpha > 0, "above 0")]
