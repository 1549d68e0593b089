"""Contrastive losses."""

import torch
import torch.nn.functional as F
from torch import Tensor


def nt_xent(codes: Tensor, temperature: float, similarity: str = "cosine") -> Tensor:
    """Return the normalised temperature-scaled cross entropy of two views (Chen et al., ICML 2020, eq. 1).

    For ±1 codes the cosine equals the scaled dot product, but its gradient differs: the gradient of the norm keeps the
    probabilities from saturating.

    Parameters
    ----------
    codes : Tensor of shape (2n, n_bits)
        Codes of n images' first views, then of their second views in the same order.
    temperature : float
    similarity : {"cosine", "dot"}
        The cosine, or the dot product over n_bits.

    Returns
    -------
    Tensor
        Mean over the 2n anchors.
    """
    codes = F.normalize(codes) if similarity == "cosine" else codes / codes.shape[1] ** 0.5
    scores = codes @ codes.T / temperature
    scores.fill_diagonal_(-torch.inf)
    return F.cross_entropy(scores, torch.arange(len(codes), device=codes.device).roll(len(codes) // 2))
