"""Labels of a batch as what losses are made of: which pairs are similar, and marks."""

import torch
from torch import Tensor
from torch.nn.functional import one_hot


def share_label(labels: Tensor, others: Tensor) -> Tensor:
    """Return which pairs of items have a label in common.

    Parameters
    ----------
    labels, others : Tensor of shape (n,) and (m,), int64, or (n, n_labels) and (m, n_labels), bool
        Classes, or which labels an item has.

    Returns
    -------
    Tensor of shape (n, m), bool
    """
    if labels.ndim == 1:
        return labels[:, None] == others
    return labels.float() @ others.float().T > 0


def marks(labels: Tensor, n_labels: int) -> Tensor:
    """Return 1 for each label that an item has, else 0, (n, n_labels) float32.

    Parameters
    ----------
    labels : Tensor of shape (n,), int64, or (n, n_labels), bool
        Classes from 0, or which labels an item has.
    n_labels : int
    """
    return one_hot(labels, n_labels).float() if labels.ndim == 1 else labels.float()


def balanced_mean(values: Tensor, similar: Tensor) -> Tensor:
    """Return the mean over similar pairs plus the mean over dissimilar ones; a mean over no pairs is 0.

    It is the mean over all pairs, each weighted by (all pairs) / (pairs of its kind).

    Parameters
    ----------
    values : Tensor of shape (n, m)
    similar : Tensor of shape (n, m), bool
    """

    def mean(chosen: Tensor) -> Tensor:
        return torch.where(chosen, values, 0).sum() / chosen.sum().clamp(min=1)

    return mean(similar) + mean(~similar)
