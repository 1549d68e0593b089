"""MeCoQ: contrastive learning of a product quantizer, with a memory of codes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from hashbench.contract.faiss_quantizer import CENTROIDS
from hashbench.contract.search_space import log_range
from hashbench.learning.quantized.view_pair_quantizer import ViewPairQuantizer

if TYPE_CHECKING:
    from torch import Tensor

EPOCHS, MIN_STEPS = 50, 2_000
"""The authors' epochs; and the minimum number of steps, that of their 5,000 images."""
LOWEST_RATE = 1e-3
"""Share of the learning rate at the first and at the last step."""


class MeCoQ(ViewPairQuantizer):
    """Contrastive quantization with code memory: two views of an image get similar decoded vectors.

    Source: Wang, Zeng, Chen, Dai and Xia, Contrastive quantization with code memory for unsupervised image retrieval,
    AAAI 2022 (arXiv 2109.05205), and the authors' code. A linear layer on frozen features gives parts z_m, which are
    divided by their lengths. Each part is softly assigned to the 256 codewords c of its codebook, with weights
    softmax(α ⟨z_m, c⟩); the weighted codewords are the decoded vector. Decoded vectors of two views are contrasted.
    The contrast is debiased (Chuang et al., NeurIPS 2020): a share ``prior`` of the negatives is taken to be
    positives. A memory keeps the weights of the latest views; decoded with the present codebooks, they are further
    negatives. Two terms are added: the entropy of the weights, and the mean inner product of the codewords of a
    codebook, which keeps them apart.

    Where the authors' code differs from the paper: its codebooks are not trained (``requires_grad`` is off), so its
    codewords are random directions and the second term is a constant; ``codewords="fixed"`` is that. It pairs the
    positive of each anchor with the negatives of every anchor (a sum loses its dimension), not with its own; here an
    anchor has its own negatives. As in the code, vectors of the memory are not divided by their lengths and are not
    counted in N by the debiasing, and the sum of debiased negatives is at least exp(−N / τ), not N exp(−1 / τ). The
    code trains the last layers of VGG16, too, and keeps the epoch with the best mAP of the test queries; here the
    backbone is frozen and the last epoch is kept. Views are the data set's.

    Parameters
    ----------
    n_bits : int
        Code length in bits, a multiple of 8: one codebook for each byte.
    part_dims : int
        Dimensions of a part, 8 to 16 in the authors' settings.
    sharpness : float
        α of the soft assignment.
    codewords : {"trained", "fixed"}
        Whether the codebooks are trained, as the paper says, or stay random, as in the authors' code.
    temperature : float
        The contrast's τ.
    prior : float
        Share of a batch's other images that are taken to be of an image's class; 0 is the plain contrast.
    entropy : float
        Weight of the soft assignments' entropy; the authors' on 5,000 images of CIFAR-10 is 0.01, 0.1 and 0.05 at 16,
        32 and 64 bits.
    diversity : float
        Weight of the codewords' mean inner product.
    memory : int
        Number of views that the memory keeps; 0 is no memory.
    memory_from : float
        Share of the epochs after which the memory is used.
    batch_size : int
        Images per step; each contributes two views.
    epochs : int or None
        Passes over the training set; None is the authors' 50; on a small training set, the number that gives 2,000
        steps.
    lr : float
        Greatest learning rate of stochastic gradient descent. It rises in the first epoch, then falls along a cosine.
    weight_decay : float
    momentum : float
    n_views : int or "fresh"
        Size of the view pool; ``fresh`` is two new views of each image in every epoch, as in the authors' code.
    views_seed : int
        Seed of the views.
    precision : {"32-true", "tf32", "bf16-mixed", "16-mixed"}
        Lightning Fabric's precision of the training.
    random_state : int or None
        Seed of initial weights, codewords, batches and view choice.

    Attributes
    ----------
    weights1_ : ndarray of shape (n_features, n_parts * part_dims), float32
    bias1_ : ndarray of shape (n_parts * part_dims,), float32
        The linear layer.
    codebooks_ : ndarray of shape (n_parts, 256, part_dims), float32
        Codewords of length 1.
    resumed_s_ : float
        Seconds of training before an interruption; 0 where there was none.

    Fidelity
    --------
    Compared with the authors' code, whose sum is given its dimension back, on the same features of 2,000 images of
    CIFAR-10 (EfficientNet-Lite0), views, batches and initial weights, 32 bits, 6 epochs, the memory after 3, 1 seed.
    With fixed codewords, losses of each epoch are within .11 %, and mAP@1000 of 500 queries in 6,000 items is .4506
    here, .4515 there; with trained ones (``requires_grad`` on there), within .05 %, .4503 and .4502. Their code as
    it is: losses within 3.5 %, .4495 and .4508. The features themselves have .3590. A full training was not compared.
    """

    paper = "Wang et al., AAAI 2022 (arXiv 2109.05205)"

    sharpness: float = 10.0
    codewords: Literal["trained", "fixed"] = "trained"
    temperature: float = 0.35
    prior: float = 0.1
    entropy: float = 0.1
    diversity: float = 0.5
    memory: int = 384
    memory_from: float = 0.3
    batch_size: int = 128
    lr: float = 0.01
    weight_decay: float = 0.005
    momentum: float = 0.9

    search = {
        "lr": log_range(1e-3, 1.0),
        "temperature": log_range(0.1, 1.0),
        "entropy": log_range(0.01, 1.0),
        "part_dims": (8, 32),
        "codewords": ["trained", "fixed"],
        "weight_decay": log_range(1e-4, 0.1),
    }

    def network(self, n_features):
        """Return the linear layer with codebooks and memory; it gives soft assignments and decoded vectors."""
        import torch
        from torch import nn
        from torch.nn.functional import normalize

        class Quantized(nn.Module):
            def __init__(self, n_parts, part_dims, sharpness, is_trained, n_kept):
                super().__init__()
                self.projection = nn.Linear(n_features, n_parts * part_dims)
                codebooks = nn.init.xavier_uniform_(torch.empty(n_parts, CENTROIDS, part_dims))
                codebooks = normalize(codebooks, dim=-1)
                if is_trained:
                    self.codebooks = nn.Parameter(codebooks)
                else:
                    self.register_buffer("codebooks", codebooks)
                self.register_buffer("memory", torch.zeros(n_kept, n_parts, CENTROIDS))
                self.sharpness = sharpness

            def forward(self, views):
                parts = self.projection(views).unflatten(1, (self.codebooks.shape[0], -1))
                scores = torch.einsum("nmd,mkd->nmk", normalize(parts, dim=-1), self.codebooks)
                weights = (self.sharpness * scores).softmax(dim=-1)
                return weights, self.decoded(weights)

            def decoded(self, weights):
                return torch.einsum("nmk,mkd->nmd", weights, self.codebooks).flatten(1)

        return Quantized(self.n_parts, self.part_dims, self.sharpness, self.codewords == "trained", self.memory)

    def encoder(self, network):
        """Return the linear layer."""
        return network.projection

    def optimizers(self, network):
        """Return stochastic gradient descent with momentum."""
        from torch.optim import SGD

        return SGD(network.parameters(), lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def begin(self, trainer):
        """Make the network available to the loss, which decodes the memory."""
        trainer.constants["network"] = trainer.network

    def start_epoch(self, trainer, epoch):
        """Count the steps before the epoch, and use the memory from its share of the epochs on."""
        trainer.constants["step"] = (epoch - 1) * self._steps(trainer.data.n_items)
        trainer.constants["remembers"] = self.memory > 0 and epoch > self.memory_from * trainer.epochs

    def step(self, trainer, batch):
        """Make a step with codewords of length 1; then keep the views' soft assignments."""
        step, n_steps = trainer.constants["step"], self._steps(trainer.data.n_items)
        trainer.scale_rates(rate(step, n_steps, trainer.epochs * n_steps))
        if self.codewords == "trained":
            normalize_codewords(trainer.network)
        outputs = trainer.forward(batch)
        terms = self.loss(outputs, batch)
        trainer.minimise(terms["loss"])
        if self.memory:
            self._keep_views(trainer.network.memory, outputs[0].detach(), step)
        trainer.constants["step"] = step + 1
        return terms

    def _keep_views(self, memory, weights, step):
        """Replace the oldest of the memory by the first views, then by the second views."""
        import torch

        for number, view in enumerate(weights.chunk(2)):
            first = (2 * step + number) * self.batch_size
            memory[(first + torch.arange(len(view), device=memory.device)) % len(memory)] = view

    def loss(self, outputs, batch):
        """Return the contrast plus the weighted entropy and similarity of codewords."""
        import torch

        weights, decoded = outputs
        network = batch.constants["network"]
        kept = network.decoded(network.memory) if batch.constants["remembers"] else None
        contrastive = debiased_contrast(decoded, self.temperature, self.prior, kept)
        entropy = torch.special.entr(weights).sum(dim=-1).mean()
        similarity = network.codebooks.mean(dim=1).square().sum(dim=-1).mean()  # mean over all pairs of codewords
        loss = contrastive + self.entropy * entropy + self.diversity * similarity
        return {"loss": loss, "contrastive": contrastive, "entropy": entropy, "similarity": similarity}

    def rows_used(self, n_rows):
        """Leave out a batch without negatives."""
        return n_rows if n_rows > 1 else 0

    def _steps(self, n_items):
        """Return the number of steps in an epoch."""
        full, rest = divmod(n_items, self.batch_size)
        return full + (rest > 1)

    def default_epochs(self, n_items):
        """Return the authors' 50 epochs, or the number that gives 2,000 steps on few images."""
        return max(EPOCHS, -(-MIN_STEPS // self._steps(n_items)))

    def limits(self, n_items, device, devices):
        """Return the parameters' ranges."""
        return [
            *super().limits(n_items, device, devices),
            ("sharpness", self.sharpness > 0, "above 0"),
            ("codewords", self.codewords in ("trained", "fixed"), "'trained' or 'fixed'"),
            ("temperature", self.temperature > 0, "above 0"),
            ("prior", 0 <= self.prior < 1, "at least 0 and below 1"),
            ("entropy", self.entropy >= 0, "at least 0"),
            ("diversity", self.diversity >= 0, "at least 0"),
            ("memory", self.memory == 0 or self.memory >= self.batch_size, "0, or at least batch_size"),
            ("memory_from", self.memory_from >= 0, "at least 0"),
            ("momentum", 0 <= self.momentum < 1, "at least 0 and below 1"),
        ]


def normalize_codewords(network):
    """Divide the codewords of a network by their lengths, in place."""
    import torch
    from torch.nn.functional import normalize

    with torch.no_grad():
        network.codebooks.copy_(normalize(network.codebooks, dim=-1))


def rate(step: int, n_warm: int, n_steps: int) -> float:
    """Return the learning rate of a step as a share of the greatest one.

    It rises linearly in the first ``n_warm`` steps and falls along half a cosine in the others, both between
    `LOWEST_RATE` and 1.
    """
    if step < n_warm:
        share = step / max(1, n_warm - 1)
    else:
        share = (1 + math.cos(math.pi * (step - n_warm) / (n_steps - n_warm))) / 2
    return LOWEST_RATE + (1 - LOWEST_RATE) * share


def debiased_contrast(vectors: Tensor, temperature: float, prior: float, kept: Tensor | None = None) -> Tensor:
    """Return the contrast of two views whose negatives are corrected for the positives among them.

    With s the cosine over the temperature, an anchor's term is −log(e^s⁺ / (e^s⁺ + g)), where g is the sum of e^s of
    its N = 2n − 2 negatives, less ``prior`` · N · e^s⁺, over 1 − ``prior``; at least exp(−N / temperature).

    Parameters
    ----------
    vectors : Tensor of shape (2n, d)
        Of n images' first views, then of their second views in the same order.
    temperature : float
    prior : float
        0 is the plain contrast.
    kept : Tensor of shape (m, d), optional
        Further negatives, which are compared as they are, and are not counted in N.

    Returns
    -------
    Tensor
        Mean over the 2n anchors.
    """
    import torch
    from torch.nn.functional import normalize

    unit = normalize(vectors)
    scores = unit @ unit.T / temperature
    positive = scores.diagonal(len(unit) // 2).repeat(2)
    mine = torch.eye(len(unit) // 2, dtype=torch.bool, device=unit.device).repeat(2, 2)
    scores = scores.masked_fill(mine, -torch.inf)
    if kept is not None:
        scores = torch.cat([scores, unit @ kept.T / temperature], dim=1)
    negatives, n_negatives = scores.exp().sum(dim=1), len(unit) - 2
    if prior:
        negatives = (negatives - prior * n_negatives * positive.exp()) / (1 - prior)
        negatives = negatives.clamp(min=math.exp(-n_negatives / temperature))
    return ((positive.exp() + negatives).log() - positive).mean()
