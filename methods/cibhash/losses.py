"""CIBHash's objective: NT-Xent on binary codes, and the bottleneck's divergence."""

import torch
import torch.nn.functional as F
from torch import Tensor


def binarize(p: Tensor, threshold: Tensor | float, low: float = -1.0) -> Tensor:
    """Return codes with the gradient of ``p`` passed straight through.

    Parameters
    ----------
    p : Tensor of shape (n, n_bits)
        Probabilities.
    threshold : Tensor or float
        1/2, or uniform noise for Bernoulli sampling.
    low : float
        Value of a bit that is off: −1, or 0 for codes in {0, 1}.

    Returns
    -------
    Tensor of shape (n, n_bits)
        1 where ``p`` is above the threshold, else ``low``: a tie is not left at torch.sign's 0.
    """
    code = torch.where(p > threshold, 1.0, low)
    return code + (p - p.detach())


def nt_xent(codes: Tensor, temperature: float, similarity: str = "cosine") -> Tensor:
    """Return the normalised temperature-scaled cross entropy of two views (Chen et al., ICML 2020, eq. 1).

    The cosine has its own gradient: for ±1 codes its value equals the scaled dot product, but the norm's gradient
    keeps the probabilities from saturating.

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
