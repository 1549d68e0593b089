"""A run's directory that no run has made: records with codes, curves, values per query and labels."""

import numpy as np
from made_records import made_record

from hashbench import evaluate
from hashbench.evaluation.curves import curves
from hashbench.records.store import Store

N_QUERIES, N_DATABASE, N_CLASSES = 30, 60, 3
METRICS = ["mAP@10", "mAP@all"]


def made_run(directory, methods, bits=(8, 16), seeds=(0, 1), **values):
    """Return the store of a run.

    Parameters
    ----------
    directory : Path
    methods : mapping from str to (float, dict)
        By label: the share of bits that a label decides, and the parameters.
    bits, seeds : sequence of int
    **values
        Fields of the records, or of their configurations.
    """
    store = Store(directory)
    store.open_for_writing()
    labels = {
        "query_labels": np.arange(N_QUERIES) % N_CLASSES,
        "database_labels": np.arange(N_DATABASE) % N_CLASSES,
    }
    for number, (label, (share, params)) in enumerate(methods.items()):
        for n_bits in bits:
            for seed in seeds:
                codes = [_codes(labels[name], share, n_bits, (number, seed)) for name in labels]
                result = evaluate(*codes, **labels, metrics=METRICS, n_bits=n_bits)
                record = made_record(
                    label, n_bits, seed, params, metrics=dict(result), timings=_timings(number, n_bits), **values
                )
                arrays = {f"per_query:{name}": result.per_query[name] for name in METRICS}
                arrays |= dict(zip(("query_codes", "database_codes"), codes, strict=True))
                store.write(record, {**arrays, **curves(result.histograms)})
    store.write_relevance(record.config["data"], labels)
    return store


def _codes(labels, share, n_bits, seed):
    of_class = np.random.default_rng(0).integers(2, size=(N_CLASSES, n_bits))[labels]
    rng = np.random.default_rng(seed)
    noise = rng.integers(2, size=of_class.shape)
    return np.packbits(np.where(rng.random(of_class.shape) < share, of_class, noise).astype(bool), axis=1)


def _timings(number, n_bits):
    return {"fit_s": 0.01 * n_bits * (number + 1), "encode_items_per_s": 1e5 / (number + 1)}


HOSTILE = {
    "<script>alert(1)</script>": (0.9, {"text": "quotes \"' and </script>", "line": "one\ntwo \u200fthree"}),
    "=cmd|' /C calc'!A0": (0.5, {"text": "plain", "line": "one\ntwo \u200fthree"}),
    'a "quoted", b & <b>': (0.1, {"text": "plain", "line": "four"}),
}
"""Methods whose labels and parameters would do harm in markup, in a spreadsheet or on a line."""
