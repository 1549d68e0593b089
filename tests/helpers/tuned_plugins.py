"""Plugins to tune: one whose best parameters are known, one that always fails, one that records what it is given."""

PLANTED = '''
"""The nearer lr is to 0.01, the less all bits have in common; kind=noisy adds to it."""
import numpy as np
from hashbench import HashMethod, log_range


class Planted(HashMethod):
    """Random directions, and one that all bits share.

    Parameters
    ----------
    n_bits : int
    lr : float
    kind : str
    random_state : int or None
    """

    search = {"lr": log_range(1e-5, 1e-1), "kind": ["noisy", "clean"]}

    def __init__(self, n_bits=32, *, lr=1e-4, kind="noisy", random_state=None):
        self.n_bits, self.lr, self.kind, self.random_state = n_bits, lr, kind, random_state

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.random_state)
        self.mean_ = X.mean(axis=0)
        self.directions_ = rng.standard_normal((X.shape[1], self.n_bits), dtype=np.float32)
        off = abs(np.log10(self.lr) + 2) + (self.kind == "noisy")
        self.directions_ += np.float32(off) * rng.standard_normal((X.shape[1], 1), dtype=np.float32)
        return self

    def project(self, X):
        return (X - self.mean_) @ self.directions_
'''
SLOW_PLANTED = PLANTED.replace("class Planted", "class SlowPlanted").replace(
    'kind="noisy", random_state=None):\n', 'kind="noisy", epochs=8, random_state=None):\n        self.epochs = epochs\n'
)
FAILING = """
from hashbench import HashMethod


class Failing(HashMethod):
    search = {"size": (1, 1000)}

    def __init__(self, n_bits=32, *, size=5):
        self.n_bits, self.size = n_bits, size

    def fit(self, X, y=None):
        raise RuntimeError("no luck")

    def project(self, X):
        return X
"""
FAILING_EPOCHS = FAILING.replace("class Failing", "class FailingEpochs").replace(
    "size=5):\n", "size=5, epochs=10):\n        self.epochs = epochs\n"
)
SPY = '''
import numpy as np
from hashbench import HashMethod

SEEN = {"rows": set(), "labels": set()}


class Spy(HashMethod):
    """Remembers the first column of all that it is given, which is the number of the row, and all labels."""

    supervision = "supervised"
    search = {"size": (1, 1000)}

    def __init__(self, n_bits=8, *, size=5):
        self.n_bits, self.size = n_bits, size

    def fit(self, X, y):
        SEEN["rows"].update(X[:, 0].astype(int).tolist())
        SEEN["labels"].update(np.unique(y).tolist())
        self.directions_ = np.random.default_rng(self.size).standard_normal((X.shape[1], self.n_bits))
        return self

    def project(self, X):
        SEEN["rows"].update(X[:, 0].astype(int).tolist())
        return (X @ self.directions_).astype(np.float32)
'''
NUMBERED = '''
import numpy as np
from hashbench import HashDataset, Items, Protocol, Split


class Numbered(HashDataset):
    """200 rows whose first column is their number and 1000; the first 40 are queries, with classes of their own."""

    protocols = (Protocol("numbered/1", "by hand", 40, 160, 160, ("mAP@all",)),)

    def read(self, options):
        rows = np.random.default_rng(0).standard_normal((200, 12)).astype(np.float32)
        rows[:, 0] = 1000 + np.arange(200)
        labels = np.arange(200) % 4 + 4 * (np.arange(200) < 40)
        return Items(features=rows, labels=labels)

    def split(self, items, protocol):
        return Split(np.arange(40, 200), np.arange(40), np.arange(40, 200))
'''
