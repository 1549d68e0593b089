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


def nt_xent(first: Tensor, second: Tensor, temperature: float, similarity: str = "cosine") -> Tensor:
    """Return the normalised temperature-scaled cross entropy of two views (Chen et al., ICML 2020, eq. 1).

    The cosine has its own gradient: for ±1 codes its value equals the scaled dot product, but the norm's gradient
    keeps the probabilities from saturating.

    Parameters
    ----------
    first, second : Tensor of shape (n, n_bits)
        Codes of the two views; row i of both is image i.
    temperature : float
    similarity : {"cosine", "dot"}
        The cosine, or the dot product over n_bits.

    Returns
    -------
    Tensor
        Mean over the 2n anchors.
    """
    codes = torch.cat([first, second])
    codes = F.normalize(codes) if similarity == "cosine" else codes / codes.shape[1] ** 0.5
    n = len(first)
    scores = codes @ codes.T / temperature
    scores.fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * n, device=codes.device).roll(n)
    return F.cross_entropy(scores, partner)


def symmetric_kl(p: Tensor, q: Tensor) -> Tensor:
    """Return the symmetrised KL divergence of two views' Bernoulli codes, in nats.

    Each direction holds its second argument constant; bits are summed, images averaged, directions averaged.

    Parameters
    ----------
    p, q : Tensor of shape (n, n_bits)
        Probabilities.
    """
    log_p, log_q = _logs(p), _logs(q)
    return (_kl(p, log_p, log_q) + _kl(q, log_q, log_p)) / 2


def _logs(p: Tensor) -> tuple[Tensor, Tensor]:
    tiny = 1e-8
    return (p + tiny).log(), (1 - p + tiny).log()


def _kl(p: Tensor, own: tuple[Tensor, Tensor], others: tuple[Tensor, Tensor]) -> Tensor:
    ones = p * (own[0] - others[0].detach())
    zeros = (1 - p) * (own[1] - others[1].detach())
    return (ones + zeros).sum(dim=1).mean()
