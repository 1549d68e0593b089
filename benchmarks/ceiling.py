"""Scores exact search on the features themselves, before any hashing: the ceiling of what codes can keep.

Run with ``python benchmarks/ceiling.py --dataset cifar10 --data-dir DIR``; the features come from the cache, or are
extracted first.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.preprocessing import normalize

import hashbench
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.extracted import ExtractedFeatures
from hashbench.files.cache import cache_directory

QUERIES_AT_ONCE = 200


def average_precisions(scores, relevant, k):
    """Return each query's average precision within the first k, by hits, ranking by falling score."""
    if k < scores.shape[1]:
        top = np.argpartition(-scores, k, axis=1)[:, :k]
        order = np.take_along_axis(top, np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1), axis=1)
    else:
        order = np.argsort(-scores, axis=1)
    hits = np.take_along_axis(relevant, order, axis=1)
    precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return (precision * hits).sum(axis=1) / np.maximum(hits.sum(axis=1), 1)


def main():
    """Print mAP@1000 and mAP@all for three similarities."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--data-dir", type=Path)
    options = parser.parse_args()
    dataset = hashbench.load_dataset(options.dataset, data_dir=options.data_dir)
    backbone = open_backbone(dataset.backbone, image_size=dataset.image_size)
    features = np.asarray(ExtractedFeatures(dataset, backbone, cache_directory(None)).features().data)
    split, labels = dataset.split, dataset.labels
    centre = features[split.train].mean(axis=0)
    for name, X in {
        "Euclidean": features,
        "cosine": normalize(features),
        "cosine, centred": normalize(features - centre),
    }.items():
        query, database = X[split.query], X[split.database]
        half_norms = np.square(database).sum(axis=1) / 2
        found = []
        for start in range(0, len(query), QUERIES_AT_ONCE):
            scores = query[start : start + QUERIES_AT_ONCE] @ database.T - half_norms
            own = labels[split.query[start : start + QUERIES_AT_ONCE]]
            relevant = labels[split.database] == own[:, None]
            found.append([average_precisions(scores, relevant, k) for k in (1000, len(database))])
        at_1000, at_all = np.concatenate(found, axis=1).mean(axis=1)
        print(f"{name:16}  mAP@1000 {at_1000:.4f}  mAP@all {at_all:.4f}", flush=True)


if __name__ == "__main__":
    main()
