"""Methods and quantizers with one fault each, and the check that finds it."""

import threading
import time

import numpy as np
from good_plugins import GoodMethod, GoodQuantizer

from hashbench import Unsupported


class RoundsBits:
    def __init__(self, n_bits=32, *, scale=1.0, random_state=None):
        super().__init__(int(n_bits // 8 * 8), scale=scale, random_state=random_state)


class Unseeded:
    def fit(self, X, y=None):
        super().fit(X)
        self.directions_ = np.random.default_rng().standard_normal(self.directions_.shape)
        return self


class IgnoresSeed:
    def fit(self, X, y=None):
        kept, self.random_state = self.random_state, 0
        super().fit(X)
        self.random_state = kept
        return self


class MovesGlobalState:
    def fit(self, X, y=None):
        np.random.standard_normal(3)  # noqa: NPY002 (what the check is about)
        return super().fit(X)


class CentresOnTheBatch:
    def encode(self, X):
        return super().encode(np.asarray(X) - np.asarray(X).mean(axis=0) + self.mean_)


class WritesToItsInput:
    def encode(self, X):
        codes = super().encode(X)
        X[:] = 0
        return codes


class LikesOneLayout:
    def encode(self, X):
        return super().encode(X) if X.flags.c_contiguous else super().encode(-X)


class Remembers:
    def fit(self, X, y=None):
        super().fit(X)
        self._means = getattr(self, "_means", 0) + self.mean_  # the contract forgets learned attributes, not this one
        self.mean_ = self._means
        return self


class HidesItsState:
    def fit(self, X, y=None):
        self._hidden = 1
        return super().fit(X)

    def encode(self, X):
        return super().encode(np.asarray(X) + self._hidden)


class AcceptsAnything:
    def encode(self, X):
        return super().encode(np.nan_to_num(np.asarray(X, np.float32)))


class GivesFewerBits:
    def encode(self, X):
        return super().encode(X)[:, :4]


class Whitens:
    def fit(self, X, y=None):
        super().fit(X)
        self.directions_ = self.directions_ / X.std(axis=0)[:, None]
        return self


class Copies:
    def encode(self, X):
        return super().encode(np.array(X, np.float64))


class ChangesInFit:
    def fit(self, X, y=None):
        self.scale = 2.0
        return super().fit(X)


class ChangesWhenEncoding:
    def encode(self, X):
        self.scale = 2.0
        return super().encode(X)


class AsksForATeacher:
    def fit(self, X, y=None, *, teacher=None):
        return super().fit(X)


class GuessesLabels:
    supervision = "semi-supervised"


class FailsOnOneRow:
    def __init__(self, n_bits=32, *, scale=1.0, batch_size=64, random_state=None):
        super().__init__(n_bits, scale=scale, random_state=random_state)
        self.batch_size = batch_size

    def fit(self, X, y=None):
        if len(X) % self.batch_size == 1:
            raise ValueError("Expected more than 1 value per channel when training")
        return super().fit(X)


class LeavesErrorsRaised:
    def fit(self, X, y=None):
        np.seterr(over="raise")
        return super().fit(X)


class LeavesAThread:
    def encode(self, X):
        threading.Thread(target=time.sleep, args=(1,)).start()
        return super().encode(X)


class SearchesElsewhere:
    search = {"scale": (2.0, 3.0)}


class FailsAtABound:
    search = {"scale": (0.5, 9.0)}

    def fit(self, X, y=None):
        if self.scale > 5:
            raise Unsupported(f"scale={self.scale}: expected at most 5")
        return super().fit(X)


class RoundsABound:
    search = {"scale": (0.5, 9.0)}

    def __init__(self, n_bits=32, *, scale=1.0, random_state=None):
        super().__init__(n_bits, scale=max(scale, 1.0), random_state=random_state)


class Undocumented:
    pass


BROKEN = [
    (RoundsBits, "check_parameters", "n_bits is not kept as given"),
    (ChangesInFit, "check_parameters_stay", "fit changed the parameter scale from 1.0 to 2.0"),
    (ChangesWhenEncoding, "check_parameters_stay", "scale was 1.0 in fit and is 2.0 now"),
    (SearchesElsewhere, "check_search_space", "the default 1.0 is outside; extend the range"),
    (FailsAtABound, "check_search_space", "with scale=9.0: Unsupported: scale=9.0: expected at most 5"),
    (RoundsABound, "check_search_space", "__init__ changed the parameter scale from 0.5 to 1.0"),
    (AsksForATeacher, "check_fit_asks_for_what_there_is", "fit asks for teacher; a run "),
    (GuessesLabels, "check_fit_asks_for_what_there_is", "supervision is 'semi-supervised'"),
    (Unseeded, "check_seed_decides", "two fits"),
    (IgnoresSeed, "check_seed_decides", "is it used?"),
    (LeavesErrorsRaised, "check_process_is_left_alone", "fit leaves changed behind: numpy's error state"),
    (LeavesAThread, "check_process_is_left_alone", "encode leaves changed behind: running threads"),
    (MovesGlobalState, "check_global_random_state_is_left_alone", "fit moves numpy's global random state"),
    (CentresOnTheBatch, "check_rows_are_independent", "differs"),
    (WritesToItsInput, "check_input_is_not_changed", "was changed"),
    (LikesOneLayout, "check_memory_layouts", "Fortran order"),
    (Remembers, "check_refit_forgets", "depends on the first"),
    (HidesItsState, "check_saves_and_loads", "_hidden"),
    (AcceptsAnything, "check_refuses_unusable_input", "encode accepts nan"),
    (GivesFewerBits, "check_too_many_bits", "40 bits give codes of 4 bytes"),
    (Whitens, "check_degenerate_data", "divide by zero"),
    (Copies, "check_encode_memory_is_bounded", "allocates"),
    (
        FailsOnOneRow,
        "check_a_last_batch_of_one_row",
        "a batch of one row: ValueError: Expected more than 1 value per channel when training; leave such a batch out",
    ),
    (Undocumented, "check_documented", "no docstring"),
]
"""Broken methods and quantizers alike."""


class WrongPadding(GoodMethod):
    def encode(self, X):
        return super().encode(X) | np.uint8(self.n_bits % 8 > 0)


class LittleEndian(GoodMethod):
    def encode(self, X):
        return np.packbits(self.project(np.asarray(X)) > 0, axis=1, bitorder="little")


class ProjectsTooWide(GoodMethod):
    def project(self, X):
        return np.repeat(super().project(X), 2, axis=1)


class OneBitIsConstant(GoodMethod):
    def project(self, X):
        values = super().project(X)
        values[:, 3] = 1
        return values


class ChangesWhenProjecting(GoodMethod):
    def project(self, X):
        self.scale = 2.0
        return super().project(X)


class AsksForViews(GoodMethod):
    def fit(self, X, y=None, *, views=None):
        return super().fit(X)


class DividesByLengths(GoodMethod):
    def project(self, X):
        with np.errstate(divide="ignore", invalid="ignore"):
            return super().project(X) / np.linalg.norm(X, axis=1, keepdims=True)


class IgnoresLabels(GoodMethod):
    supervision = "supervised"


class OddLabels(IgnoresLabels):
    labels = "several"


class RefusesMarks(GoodMethod):
    supervision = "supervised"

    def fit(self, X, y):
        if y.ndim > 1:
            raise Unsupported("it needs one class an item")
        super().fit(X)
        self.mean_ = X[y == 0].mean(axis=0)
        return self


class Leaves(GoodMethod):
    def fit(self, X, y=None):
        raise SystemExit(0)


class LeavesWhenMade(GoodMethod):
    def __init__(self, n_bits=32, *, scale=1.0, random_state=None):
        raise KeyboardInterrupt


class LeavesWhenProjecting(GoodMethod):
    def project(self, X):
        raise GeneratorExit


BROKEN_METHODS = [
    (WrongPadding, "check_codes_are_packed", "padding bits"),
    (LittleEndian, "check_codes_are_packed", "numpy.packbits"),
    (
        ProjectsTooWide,
        "check_codes_are_packed",
        "project returned shape (1024, 32), expected an array of shape (1024, 16)",
    ),
    (Leaves, "check_codes_are_packed", "SystemExit: 0"),
    (LeavesWhenMade, "check_codes_are_packed", "KeyboardInterrupt"),
    (LeavesWhenProjecting, "check_codes_are_packed", "GeneratorExit"),
    (OneBitIsConstant, "check_no_bit_is_constant", "bits [3]"),
    (ChangesWhenProjecting, "check_parameters_stay", "encode changes the parameters"),
    (AsksForViews, "check_fit_asks_for_what_there_is", "n_pool_views(n_images)"),
    (
        DividesByLengths,
        "check_values_are_finite",
        "rows of zeros: broken_estimators: project returned -inf for row 0, bit 0",
    ),
    (IgnoresLabels, "check_labels", "other labels give the same codes"),
    (OddLabels, "check_labels", "labels is 'several', expected one of classes, multilabel, any"),
    (RefusesMarks, "check_labels", "labels is 'any', but marks of several labels are refused: it needs one class"),
]


class CodesAreCut(GoodQuantizer):
    def encode(self, X):
        return super().encode(X)[:, 1:]


class DoublesItsBytes(GoodQuantizer):
    def n_bytes(self, n_features):
        return super().n_bytes(n_features) * 2


class FarIsNear(GoodQuantizer):
    def distances(self, queries, codes):
        return -super().distances(queries, codes)


class SearchesFarItems(GoodQuantizer):
    def searcher(self, codes, similarity="euclidean"):
        return lambda queries, k: super(SearchesFarItems, self).searcher(codes)(queries, len(codes))[:, -k:]


class ComparesAngles(GoodQuantizer):
    def distances(self, queries, codes):
        with np.errstate(divide="ignore", invalid="ignore"):
            return super().distances(queries, codes) / np.linalg.norm(codes.view(np.int8) + self.zero_, axis=1)

    def fit(self, X, y=None):
        super().fit(X)
        self.zero_ = -self.encode_block(np.zeros_like(X[:1])).view(np.int8).astype(float)
        return self


class WritesToCodes(GoodQuantizer):
    def distances(self, queries, codes):
        distances = super().distances(queries, codes)
        codes[:] = 0
        return distances


class LeavesErrorsRaisedBySearch(GoodQuantizer):
    def searcher(self, codes, similarity="euclidean"):
        np.seterr(over="raise")
        return super().searcher(codes, similarity)


class Unexplained(GoodQuantizer):
    """Takes n_bits and scale, and random_state."""


class OfNoPaper(GoodQuantizer):
    """Says not where it is from."""

    paper = ""


BROKEN_QUANTIZERS = [
    (CodesAreCut, "check_codes_have_the_stated_bytes", "codes have shape (50, 7), n_bytes says 8"),
    (DoublesItsBytes, "check_codes_have_the_stated_bytes", "encode_block returned shape (50, 8)"),
    (FarIsNear, "check_distances_rank_near_items_first", "distances correlate with true ones by -"),
    (SearchesFarItems, "check_search_gives_the_smallest_distances", "others are nearer"),
    (ComparesAngles, "check_values_are_finite", "rows of zeros: distances are not finite"),
    (WritesToCodes, "check_input_is_not_changed", "the codes were changed"),
    (LeavesErrorsRaisedBySearch, "check_process_is_left_alone", "search leaves changed behind: numpy's error state"),
    (Unexplained, "check_documented", "the docstring does not explain n_bits, random_state, scale"),
    (OfNoPaper, "check_documented", "paper is empty"),
]


def broken(fault, good):
    """Return a good plugin's class with a fault, whose fit is guarded as if it were written there."""
    own = {"fit": fault.fit} if hasattr(fault, "fit") else {}
    doc = None if fault is Undocumented else good.__doc__
    name = fault.__name__ + good.__name__
    globals()[name] = type(name, (fault, good), {**own, "__doc__": doc, "__module__": __name__})  # pickle looks here
    return globals()[name]


ALL_BROKEN = {
    "methods": [*((broken(fault, GoodMethod), *rest) for fault, *rest in BROKEN), *BROKEN_METHODS],
    "quantizers": [*((broken(fault, GoodQuantizer), *rest) for fault, *rest in BROKEN), *BROKEN_QUANTIZERS],
}
