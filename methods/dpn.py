"""DPN: each class has a random code, and outputs are polarised towards it."""

from __future__ import annotations

from typing import Literal

from hashbench.contract.search_space import log_range
from hashbench.learning.labelled.linear_layer import LinearLayerMethod


class DPN(LinearLayerMethod):
    """Deep polarized network: a hinge loss draws each output beyond a margin, on the side of its class's random code.

    Source: Fan et al., Deep polarized network for supervised learning of accurate binary hashing codes, IJCAI 2020;
    settings as in DeepHash-pytorch. Minimised is the mean of max(0, ``margin`` − u t) over all bits, u the outputs and
    t the target code: a random one of as many bits of −1 as of 1 for each class. An item of several labels has the
    majority of their codes in each bit, a random code where they are as many.

    Where it differs: one linear layer is trained, and the features too only where ``finetune`` is given; ``lr`` is
    DeepHash-pytorch's (1e-5) times ten. Steps are kept rather than epochs: 23,550 are its 150 epochs of 5,000 rows.
    Targets stay fixed, as by its default; the paper's DPN-A renews them. The last weights are kept; theirs are those
    that do best on the test queries.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    centres : {"balanced", "hadamard", "spread", "bernoulli"}
        Which codes are the classes'; see `hashbench.learning.centres.centres`.
    margin : float
        Beyond which outputs are not drawn any further.
    batch_size : int
        Training rows per step.
    epochs : int or None
        Passes over the training set; None is as many as it takes for 23,550 steps.
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
    1e-6, and so are gradients. On the same CIFAR-10 features, initial weights, targets and batches, 32 bits, 4 epochs,
    1 seed: equal loss curves, mAP@all .5908 for both (a sixth of the database).
    """

    paper = "Fan et al., IJCAI 2020"
    default_steps = 23_550

    centres: Literal["hadamard", "spread", "balanced", "bernoulli"] = "balanced"
    margin: float = 1.0
    batch_size: int = 32

    search = {
        "lr": log_range(3e-6, 3e-3),
        "weight_decay": log_range(1e-6, 1e-3),
        "centres": ["balanced", "hadamard", "spread", "bernoulli"],
        "margin": log_range(0.1, 10.0),
        "batch_size": [32, 64, 128],
    }

    def begin(self, trainer):
        """Give each class its target."""
        from hashbench.learning.labelled.targets import Targets

        trainer.constants["targets"] = Targets(trainer, self.n_classes_, self.n_bits, self.centres)

    def loss(self, outputs, batch):
        """Return how far outputs are from beyond the margin."""
        targets = batch.constants["targets"].codes(batch.labels)
        return {"loss": (self.margin - outputs * targets).clamp(min=0).mean()}

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [*super().limits(n_items, device, devices), ("margin", self.margin > 0, "above 0")]
