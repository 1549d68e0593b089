"""The Poincaré ball: distances in it, and k-means with its distance and means.

The ball of curvature −c has the radius 1/√c. With x ⊕ y for Möbius addition, the distance is 2/√c artanh(√c |−x ⊕ y|),
and |−x ⊕ y|² = |x − y|² / (1 − 2c⟨x, y⟩ + c²|x|²|y|²) (Ganea, Bécigneul and Hofmann, NeurIPS 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

if TYPE_CHECKING:
    from torch import Tensor

SHORTEST = 1e-5
"""Length below which a vector has no direction."""
NEAREST = 1e-6
"""Squared distance below which float32 cannot tell points apart; their distance has no gradient."""
RIM = 1 - 1e-5
"""Largest argument of artanh, as in the code of the methods that use this."""
BLOCK_ROWS = 4096


def to_ball(vectors: Tensor, curvature: float, clip: float) -> Tensor:
    """Map vectors into the ball by the exponential map at 0, tanh(√c |v|) v / (√c |v|).

    Parameters
    ----------
    vectors : Tensor of shape (n, d)
    curvature : float
        c, above 0.
    clip : float
        Length to which longer vectors are cut first, which keeps gradients from vanishing at the rim (Guo et al., CVPR
        2022).
    """
    lengths = vectors.norm(dim=1, keepdim=True).clamp(min=SHORTEST)
    return vectors / lengths * ((curvature**0.5 * lengths.clamp(max=clip)).tanh() / curvature**0.5)


def distances(one: Tensor, other: Tensor, curvature: float) -> Tensor:
    """Return the distances of points of the ball, (n, m).

    Parameters
    ----------
    one : Tensor of shape (n, d)
    other : Tensor of shape (m, d)
    curvature : float
    """
    inner, root = one @ other.T, curvature**0.5
    one_squared, other_squared = one.square().sum(dim=1)[:, None], other.square().sum(dim=1)
    apart = (one_squared + other_squared - 2 * inner).clamp(min=NEAREST)
    moved = apart / (1 - 2 * curvature * inner + curvature**2 * one_squared * other_squared)
    return (root * moved.sqrt()).clamp(max=RIM).atanh() * (2 / root)


@dataclass(frozen=True)
class Level:
    """One level of a hierarchy of clusters.

    Attributes
    ----------
    centres : ndarray of shape (k, d), float64
    assigned : ndarray of shape (n,), int64
        The cluster of each row, a number of a centre.
    """

    centres: np.ndarray
    assigned: np.ndarray


def hierarchy(points: np.ndarray, sizes: Sequence[int], curvature: float, rng: np.random.Generator) -> list[Level]:
    """Cluster points, then their centres, then those centres, and so on.

    Parameters
    ----------
    points : ndarray of shape (n, d), float64
        Points of the ball.
    sizes : sequence of int
        Number of clusters of each level, the finest first; fewer where fewer are left.
    curvature : float
    rng : numpy.random.Generator

    Returns
    -------
    list of Level
        At each level the cluster of a row is that of its centre one level below.
    """
    levels: list[Level] = []
    for size in sizes:
        found = kmeans(points, size, curvature, rng)
        assigned = found.assigned[levels[-1].assigned] if levels else found.assigned
        levels.append(Level(found.centres, assigned))
        points = found.centres
    return levels


def kmeans(
    points: np.ndarray, n_clusters: int, curvature: float, rng: np.random.Generator, most_steps: int = 30
) -> Level:
    """Cluster points of the ball by Lloyd's algorithm, from random points as centres.

    A centre is the mean of its points in the Klein model, weighted by their Lorentz factors (the Einstein midpoint).
    Clusters that no point is nearest to are dropped.

    Parameters
    ----------
    points : ndarray of shape (n, d), float64
    n_clusters : int
        At most n are made.
    curvature : float
    rng : numpy.random.Generator
    most_steps : int
        Steps at most; there are fewer where no assignment changes any more.
    """
    # With λ = 2 / (1 − c|x|²), the Lorentz factor is λ − 1, and its product with the point in the Klein model λx.
    factors = 2 / (1 - curvature * np.square(points).sum(axis=1, keepdims=True))
    weighted = np.hstack([factors * points, factors - 1])
    centres = points[rng.choice(len(points), min(n_clusters, len(points)), replace=False)]
    assigned = np.full(len(points), -1)
    for _ in range(most_steps):
        nearest = _nearest(points, centres, curvature)
        if (nearest == assigned).all():
            break
        used, assigned = np.unique(nearest, return_inverse=True)
        members = csr_array((np.ones(len(points)), (assigned, np.arange(len(points)))), (len(used), len(points)))
        sums = members @ weighted
        klein = sums[:, :-1] / sums[:, -1:]
        centres = klein / (1 + np.sqrt(1 - curvature * np.square(klein).sum(axis=1, keepdims=True)))
    return Level(centres, assigned)


def _nearest(points: np.ndarray, centres: np.ndarray, curvature: float) -> np.ndarray:
    """Return the nearest centre of each point, (n,).

    For a given x, the distance to y grows with |x − y|² / (1 − c|y|²): one matrix product decides.
    """
    squared = np.square(centres).sum(axis=1)
    columns = np.vstack([-2 * centres.T, squared, np.ones(len(centres))]) / (1 - curvature * squared)
    return np.concatenate([(block @ columns).argmin(axis=1) for block in _blocks(points)])


def _blocks(points: np.ndarray) -> Iterator[np.ndarray]:
    """Yield rows x in blocks, each as (x, 1, |x|²)."""
    for start in range(0, len(points), BLOCK_ROWS):
        block = points[start : start + BLOCK_ROWS]
        yield np.hstack([block, np.ones((len(block), 1)), np.square(block).sum(axis=1, keepdims=True)])
