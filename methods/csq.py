"""CSQ: each class has a code, a row of a Hadamard matrix, that its items are drawn to."""

from __future__ import annotations

from typing import Literal

from hashbench.contract.search_space import log_range
from hashbench.learning.labelled.linear_layer import LinearLayerMethod


class CSQ(LinearLayerMethod):
    """Central similarity quantization: each bit learns its class's, by binary cross entropy with a Hadamard row.

    Source: Yuan et al., Central similarity quantization for efficient image and video retrieval, CVPR 2020; settings as
    in DeepHash-pytorch. Minimised is the binary cross entropy of σ(2 u) with the bits of an item's centre, u the
    outputs, plus ``penalty`` times the mean of (|tanh u| − 1)². Centres are the first rows of a Hadamard matrix and of
    its negative, or balanced random codes where there is none. An item of several labels has the majority of their
    centres in each bit, a random code where they are as many.

    Of the first rows many bits are wasted: bit 0 is the same for all classes up to ``n_bits``, and of C classes' rows
    only 2^⌈log₂ C⌉ columns differ: with 10 classes 15 bits say anything, however long the code. ``centres="spread"``
    draws rows that waste the fewest.

    Where it differs: one linear layer is trained, and the features too only where ``finetune`` is given; its initial
    weights are DeepHash-pytorch's, normal with a standard deviation of .01. Steps are kept rather than epochs: 11,850
    are its 150 epochs of 5,000 rows. The last weights are kept; theirs are those that do best on the test queries.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    centres : {"hadamard", "spread", "balanced", "bernoulli"}
        Which codes are the classes'; see `hashbench.learning.centres.centres`.
    penalty : float
        Weight of what draws outputs to ±1.
    batch_size : int
        Training rows per step.
    epochs : int or None
        Passes over the training set; None is as many as it takes for 11,850 steps.
    lr, weight_decay : float
        Learning rate and weight decay of RMSprop.
    precision, select, views_seed, finetune
        See `hashbench.learning.supervised.SupervisedMethod`.
    random_state : int or None
        Seed of initial weights, of random centres and of the rows' order.

    Attributes
    ----------
    weights1_, bias1_ : ndarray, float32
        The layer, ``X @ weights1_ + bias1_``.

    Fidelity
    --------
    Compared with DeepHash-pytorch's loss on the same outputs, for classes and for several labels an item: equal within
    2e-6 (gradients within 3e-3 where theirs saturates in float32). On the same CIFAR-10 features, initial weights,
    targets and batches, 32 bits, 6 epochs, 1 seed: equal loss curves, mAP@all .3778 for both (a sixth of the database).
    """

    paper = "Yuan et al., CVPR 2020"
    default_steps = 11_850

    centres: Literal["hadamard", "spread", "balanced", "bernoulli"] = "hadamard"
    penalty: float = 1e-4
    lr: float = 1e-5

    search = {
        "lr": log_range(1e-6, 1e-3),
        "weight_decay": log_range(1e-6, 1e-3),
        "centres": ["hadamard", "spread", "balanced", "bernoulli"],
        "penalty": log_range(1e-5, 1e-1),
        "batch_size": [32, 64, 128],
    }

    def network(self, n_features):
        """Return one linear layer."""
        from torch import nn

        layer = nn.Linear(n_features, self.n_bits)
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)
        return layer

    def begin(self, trainer):
        """Give each class its centre."""
        from hashbench.learning.labelled.targets import Targets

        trainer.constants["targets"] = Targets(trainer, self.n_classes_, self.n_bits, self.centres)

    def loss(self, outputs, batch):
        """Return the cross entropy with the centres' bits, plus what draws outputs to ±1."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        targets = batch.constants["targets"].codes(batch.labels)
        entropy = binary_cross_entropy_with_logits(2 * outputs, (targets + 1) / 2)
        penalty = (outputs.tanh().abs() - 1).square().mean()
        return {"loss": entropy + self.penalty * penalty, "cross_entropy": entropy, "penalty": penalty}

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [*super().limits(n_items, device, devices), ("penalty", self.penalty >= 0, "at least 0")]
