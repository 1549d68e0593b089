"""CIBHash: contrastive learning of binary codes with an information bottleneck."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hashbench.contract.search_space import log_range
from hashbench.learning.view_pairs import ViewPairMethod

if TYPE_CHECKING:
    from torch import Tensor

SAMPLINGS = ("sign", "bernoulli", "zero_one", "continuous")
MIN_STEPS = 2400
"""Minimum number of steps of the default schedule; the authors' has 4,740 on their 5,000 images."""


class CIBHash(ViewPairMethod):
    """Unsupervised hashing with contrastive information bottleneck.

    Source: Qiu, Su, Ou, Yu and Chen, Unsupervised Hashing with Contrastive Information Bottleneck, IJCAI 2021 (arXiv
    2105.06138). A head Linear – ReLU – Linear on frozen features gives each bit's probability p = σ(h). Two views'
    codes, binarised with a straight-through gradient, are contrasted by NT-Xent (section 3.2); the bottleneck adds β
    times the symmetric KL divergence of the two views' Bernoulli codes (section 3.3). The sign is that of the authors'
    code, contrastive + β · KL: a smaller divergence means fewer bits about one view and more about what the views
    share. A Lagrangian L − β · I, as in other texts, means the same if I is the information that the views share, not
    this divergence.

    The head trains on a pool of augmented views whose features are extracted once; each step draws two different views
    of each image. CIBHash's code leaves the dropout of VGG16 active in training; so each view of the pool has the
    dropout mask that was drawn when it was extracted.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    beta : float
        Weight of the KL term.
    temperature : float
        NT-Xent's τ.
    sampling : {"sign", "bernoulli", "zero_one", "continuous"}
        How training codes are made: ``sign(p − 1/2)`` as in the authors' code; ``sign(p − u)`` with u uniform as in
        the paper's text; the same draw as codes of 0 and 1; or not at all: ``continuous`` contrasts the head's
        outputs and takes signs afterwards (with ``beta=0`` the paper's naive contrastive baseline).
    similarity : {"cosine", "dot"}
        What NT-Xent compares codes by: the authors' cosine, or the dot product over ``n_bits``, which has the same
        value on ±1 codes and another gradient.
    hidden : int
        Width of the head's hidden layer.
    batch_size : int
        Images per step; each contributes two views.
    epochs : int or None
        Passes over the training set; None is the authors' schedule, 60, and 80 at 16 bits; on a small training set, the
        number that gives 2,400 steps.
    lr, weight_decay : float
        Adam's learning rate and weight decay.
    select : {"last", "validation"}
        Which epoch's head is kept: the last, or, as in the authors' code, the one with the best score on labelled
        validation queries, measured every 20 epochs. That uses labels: a run takes half of the queries for validation,
        scores the other half under a separate protocol name, and marks the row.
    n_views : int or "fresh"
        Size of the view pool; ``fresh`` is two new views of each image in every epoch, as in the authors' code.
    views_seed : int
        Seed of the views.
    finetune : float
        Learning rate of the backbone; at 0 the backbone is frozen. Otherwise it is trained with the head on two new
        views of each image in every epoch, there is no pool, and codes are made from the features of the trained
        backbone.
    precision : {"32-true", "tf32", "bf16-mixed", "16-mixed"}
        Lightning Fabric's precision of the training.
    random_state : int or None
        Seed of initial weights, batches, view choice and sampling.

    Attributes
    ----------
    resumed_s_ : float
        Seconds of training before an interruption; 0 where there was none.
    backbone_weights_ : ndarray, float32
        The trained backbone's parameters; only with ``finetune``.
    weights1_, bias1_, weights2_, bias2_ : ndarray, float32
        The head: ``relu(X @ weights1_ + bias1_) @ weights2_ + bias2_``.

    Fidelity
    --------
    Compared with a training loop like the authors' (new views by torchvision's transforms) on CIFAR-10,
    EfficientNet-Lite0, 32 bits, 60 epochs, 3 seeds: in the first five epochs the contrastive term is within .4 % and
    the KL term within 2.5 %, mAP@1000 is .5250 here, .5229 there (standard deviations .0034 and .0025).
    """

    paper = "Qiu et al., IJCAI 2021 (arXiv 2105.06138)"

    beta: float = 0.001
    temperature: float = 0.3
    sampling: Literal["sign", "bernoulli", "zero_one", "continuous"] = "sign"
    similarity: Literal["cosine", "dot"] = "cosine"
    hidden: int = 1024

    search = {
        "lr": log_range(3e-5, 3e-2),
        "beta": (0.0, 0.01),
        "temperature": log_range(0.05, 1.0),
        "sampling": ["sign", "bernoulli"],
        "hidden": [512, 1024, 2048],
        "batch_size": [32, 64, 128, 256],
    }

    def network(self, n_features):
        """Return the head, which gives the log-odds of each bit."""
        from torch import nn

        return nn.Sequential(nn.Linear(n_features, self.hidden), nn.ReLU(), nn.Linear(self.hidden, self.n_bits))

    def loss(self, outputs, batch):
        """Return the contrastive term plus β times the divergence."""
        from hashbench.learning.contrastive import nt_xent

        p = outputs.sigmoid()
        codes = outputs if self.sampling == "continuous" else self._codes(p, batch)
        contrastive = nt_xent(codes, self.temperature, self.similarity)
        kl = symmetric_kl(p)
        return {"loss": contrastive + self.beta * kl, "contrastive": contrastive, "kl": kl}

    def _codes(self, p, batch):
        from hashbench.learning.layers import binarize

        threshold = 0.5 if self.sampling == "sign" else batch.uniform(p.shape)
        return binarize(p, threshold, 0.0 if self.sampling == "zero_one" else -1.0)

    def default_epochs(self, n_items):
        """Return the authors' 60 epochs, 80 at 16 bits, or the number that gives 2,400 steps on few images."""
        steps = -(-n_items // self.batch_size)
        return max(80 if self.n_bits == 16 else 60, -(-MIN_STEPS // steps))

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("temperature", self.temperature > 0, "above 0"),
            ("hidden", self.hidden >= 1, "at least 1"),
            ("beta", self.beta >= 0, "at least 0"),
            ("sampling", self.sampling in SAMPLINGS, f"one of {', '.join(SAMPLINGS)}"),
            ("similarity", self.similarity in ("cosine", "dot"), "'cosine' or 'dot'"),
        ]


def symmetric_kl(p: Tensor) -> Tensor:
    """Return the symmetrised KL divergence of two views' Bernoulli codes, in nats.

    Each direction holds its second argument constant; bits are summed, images averaged, directions averaged.

    Parameters
    ----------
    p : Tensor of shape (2n, n_bits)
        Probabilities of n images' first views, then of their second views in the same order.
    """
    tiny = 1e-8
    q = 1 - p
    log_p, log_q = (p + tiny).log(), (q + tiny).log()
    others_p, others_q = (log.detach().roll(len(p) // 2, 0) for log in (log_p, log_q))
    return (p * (log_p - others_p) + q * (log_q - others_q)).sum() / len(p)
