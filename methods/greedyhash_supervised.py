"""GreedyHash, supervised: a linear classifier on binary codes, by a straight-through gradient."""

from __future__ import annotations

from hashbench.contract.search_space import log_range
from hashbench.learning.supervised import SupervisedMethod


class GreedyHashSupervised(SupervisedMethod):
    """GreedyHash with labels: one linear layer whose signs a linear classifier tells classes apart by.

    Source: Su, Zhang, Han and Tian, Greedy Hash: towards fast optimization for accurate hash coding in CNN, NeurIPS
    2018; settings as in DeepHash-pytorch. The sign's gradient is passed straight through. Minimised are the cross
    entropy of a classifier without bias on the codes, and ``penalty`` times the mean of | |u| − 1 |³ over the layer's
    outputs u. The rate falls to a tenth after each 30 of 200 epochs; of more or fewer epochs each has the same share.

    Where it differs: one linear layer is trained, and the features too only where ``finetune`` is given. Steps are kept
    rather than epochs: 15,800 are DeepHash-pytorch's 200 epochs of 5,000 rows. The authors' batches are of 32, for 50
    epochs. A sign of exactly 0 counts as −1. The last weights are kept; theirs are those that do best on the test
    queries.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    penalty : float
        Weight of what draws outputs to ±1; 1 for ImageNet's classes in DeepHash-pytorch.
    momentum : float
        Momentum of stochastic gradient descent.
    batch_size : int
        Training rows per step.
    epochs : int or None
        Passes over the training set; None is as many as it takes for 15,800 steps.
    lr, weight_decay : float
        Learning rate and weight decay of stochastic gradient descent.
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
    Compared with DeepHash-pytorch's loss on the same outputs: equal, and so are gradients. On the same CIFAR-10
    features, initial weights and batches, 32 bits, 6 epochs, 1 seed: equal loss curves, mAP@all .3650 for both (a sixth
    of the database).
    """

    paper = "Su et al., NeurIPS 2018"
    default_steps = 15_800
    labels = "classes"

    penalty: float = 0.1
    momentum: float = 0.9
    lr: float = 1e-3
    weight_decay: float = 5e-4

    search = {
        "lr": log_range(3e-5, 3e-2),
        "weight_decay": log_range(1e-5, 1e-2),
        "penalty": log_range(1e-3, 10.0),
        "batch_size": [32, 64, 128],
    }

    def network(self, n_features):
        """Return a linear layer, and a classifier of its signs."""
        from torch import nn

        from hashbench.learning.layers import binarize

        class Classifier(nn.Module):
            def __init__(self, n_bits, n_classes):
                super().__init__()
                self.coder = nn.Linear(n_features, n_bits)
                self.classifier = nn.Linear(n_bits, n_classes, bias=False)

            def forward(self, features):
                outputs = self.coder(features)
                return outputs, self.classifier(binarize(outputs))

        return Classifier(self.n_bits, self.n_classes_)

    def encoder(self, network):
        """Return the layer."""
        return network.coder

    def loss(self, outputs, batch):
        """Return the codes' cross entropy, plus what draws outputs to ±1."""
        from torch.nn.functional import cross_entropy

        values, scores = outputs
        entropy = cross_entropy(scores, batch.labels)
        penalty = ((values.abs() - 1).abs() ** 3).mean()
        return {"loss": entropy + self.penalty * penalty, "cross_entropy": entropy, "penalty": penalty}

    def optimizers(self, network):
        """Return stochastic gradient descent with momentum."""
        from torch.optim import SGD

        return SGD(network.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def start_epoch(self, trainer, epoch):
        """Take a tenth of the rate after each 30 of 200 epochs."""
        trainer.scale_rates(0.1 ** (20 * (epoch - 1) // (3 * trainer.epochs)))

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("penalty", self.penalty >= 0, "at least 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
        ]
