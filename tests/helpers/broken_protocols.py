"""Data sets with one fault each in what they state: facts and protocols."""

import numpy as np
from good_datasets import Good, protocol

from hashbench import Items


class Unattributed(Good):
    """Says nothing of its source."""

    source = ""


class Undocumented(Good):
    __doc__ = None


class HidesItsNeeds(Good):
    """Needs files and does not say so."""

    needs = ""


class MakesDataUp(Good):
    """Has data where its file is missing."""

    def read(self, options):
        if options.data_dir is None or (options.data_dir / "rows.npy").is_file():
            return super().read(options)
        rows = np.random.default_rng(0).standard_normal((40, 6), dtype=np.float32)
        return Items(features=rows, labels=np.arange(40) % 4, provenance="made up")


class Unversioned(Good):
    """Its protocol has no version."""

    protocols = (protocol(name="good"),)


class TwoOfOneName(Good):
    """Both protocols are good/1."""

    protocols = (protocol(), protocol(metrics=("P@10", "mAP@all")))


class NoChecksum(Good):
    """A new protocol."""

    protocols = (protocol(checksum=""),)


class Edited(Good):
    """A protocol that was changed under its old name."""

    protocols = (protocol(checksum=protocol(ties="in the order of the rows").hash),)


class UnknownMetric(Good):
    """Measures what nobody knows."""

    protocols = (protocol(metrics=("MAP", "mAP@all")),)


class OneDepth(Good):
    """Leaves mAP@all out."""

    protocols = (protocol(metrics=("mAP@10",)),)


class OtherSize(Good):
    """States another number of queries."""

    protocols = (protocol(n_query=11),)


class OneProtocolForAll(Good):
    """Gives the first protocol whatever is asked for."""

    protocols = (protocol(), protocol(name="good/2"))

    def settle(self, items, protocol, options):
        return self.protocols[0], items
