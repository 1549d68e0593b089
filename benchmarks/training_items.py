"""Scores the codes of a run against its database with, without and of its training items only.

Papers call all three "the database". Run with ``python benchmarks/training_items.py RUN --data-dir DIR``, where RUN is
the directory of a run on one data set by labels. A record is used if its codes can be read.
"""

import argparse
from pathlib import Path

import numpy as np

import hashbench
from hashbench.records.store import Store


def main():
    """Print mAP@all for three databases, a line a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    records = [record for record in Store(options.run) if record.status == "ok" and not record.is_uncoded]
    config = records[0].config
    dataset = hashbench.load_dataset(config["dataset"], data_dir=options.data_dir, protocol=config["protocol"])
    split, labels = dataset.split, dataset.labels
    trained = np.isin(split.database, split.train)
    print(f"{trained.sum()} of {len(trained)} items of the database are training items")
    print(f"{'cell':44} all items  without    only training items")
    for record in sorted(records, key=lambda record: record.title):
        if record.config["data"] != config["data"]:
            continue
        codes = Store(options.run).arrays(record.id)
        scores = [
            hashbench.evaluate(
                codes["query_codes"],
                codes["database_codes"][part],
                labels[split.query],
                labels[split.database][part],
                ["mAP@all"],
                n_bits=record.config["n_bits"],
            )["mAP@all"]
            for part in (np.ones_like(trained), ~trained, trained)
        ]
        print(f"{record.title:44} " + "     ".join(f"{score:.4f}" for score in scores), flush=True)


if __name__ == "__main__":
    main()
