"""CroVCA with labels: the code of an item's class in its batch is what each of its views' is to be."""

from hashbench.contract.search_space import log_range
from hashbench.learning.losses.cross_view import CrossViewMethod


class CroVCASupervised(CrossViewMethod):
    """Cross-view code alignment with labels: a perceptron learns to give the items of a class one code.

    Source: Moummad, Zaher, Goëau and Joly, Image hashing via cross-view code alignment in the age of foundation models,
    CVPR workshops 2026 (arXiv 2510.27584), and the authors' code with ``--supervised``. Network, views and coding rate
    are those of `crovca`. What a view's log-odds are to be is not the other view's bits but those of the batch: the
    mean log-odds of each label over its items and both views, then their mean over an item's labels, cut at 0. An item
    without a label is to have no bit set, as there.

    Where it differs from the authors' code: as `crovca` does.

    Parameters
    ----------
    n_bits : int
        Code length in bits.
    hidden : int or None
        Width of the hidden layer; None is the number of features.
    rate_weight : float
        Weight of the coding rate.
    eps : float
        The coding rate's ε, the squared error that it allows.
    min_lr : float
        Where the learning rate ends.
    batch_size : int
        Images per step; each contributes two views. Batches that are not full are left out.
    epochs : int or None
        Passes over the training set; None is as many as it takes for 975 steps.
    lr, weight_decay : float
        AdamW's learning rate at the start, and weight decay.
    select, n_views, views_seed, finetune, precision
        See `hashbench.learning.view_pairs.ViewPairMethod`.
    random_state : int or None
        Seed of initial weights, batches and view choice.

    Attributes
    ----------
    weights1_, bias1_, weights2_, bias2_ : ndarray, float32
        The two layers; the second holds the batch normalisation, with its running statistics.

    Fidelity
    --------
    Compared with the authors' formulas on the same outputs, for classes and for several labels an item: losses equal
    within 3e-7, and so are gradients. Its training was not compared beyond what `crovca` says.
    """

    paper = "Moummad et al., CVPR workshops 2026 (arXiv 2510.27584)"
    supervision = "supervised"

    search = {
        "lr": log_range(3e-5, 3e-2),
        "weight_decay": log_range(1e-4, 1e-1),
        "rate_weight": log_range(0.01, 1.0),
        "eps": log_range(0.005, 0.5),
        "hidden": [None, 512, 2048],
        "batch_size": [64, 128, 256],
    }

    def alignment(self, one, other, batch):
        """Return the cross entropy of both views with their labels' bits."""
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        from hashbench.learning.losses.pairs import marks

        labels = marks(batch.labels, self.n_classes_)
        items, counts = labels.sum(dim=0).clamp(min=1), labels.sum(dim=1, keepdim=True).clamp(min=1)
        means = labels.T @ (one + other).detach() / (2 * items[:, None])
        bits = (labels @ means / counts > 0).float()
        return binary_cross_entropy_with_logits(torch.cat([one, other]), bits.repeat(2, 1))
