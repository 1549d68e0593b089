"""The page in an exported folder: what is in it, and how codes of it are given back."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hashbench.data.dataset import Dataset
from hashbench.data.exported.content import LISTS
from hashbench.data.exported.manifest import Manifest
from hashbench.data.protocol import NameParts

README = "README.md"


def readme(dataset: Dataset, manifest: Manifest) -> str:
    """Return the page.

    Parameters
    ----------
    dataset : Dataset
    manifest : Manifest
        With the files that are written.
    """
    files, parts = manifest["files"], manifest["parts"]
    n_query, n_train, n_database = (f"{parts[part]['n']:,}" for part in ("query", "train", "database"))
    lines = [
        f"# {manifest['protocol']} of {manifest['dataset']}",
        "",
        f"{n_query} queries, {n_train} items for training, {n_database} in the database. {_training(dataset)}",
        "",
        f"The split: {manifest['split']}.",
        "",
        "## What is here",
        "",
        "| file | what it is |",
        "|---|---|",
        *(f"| `{name}` | {what} |" for name, what in _files(manifest).items() if name in files),
        "",
        "## Train",
        "",
        *_train(dataset, manifest),
        "",
        "## Give the codes back",
        "",
        "Encode the queries and the database **in the order of the files here**, without shuffling and without",
        "dropping a last batch. Save one array each, an item a row: 0 and 1, -1 and 1, the network's outputs (their",
        "signs count), or packed bytes.",
        "",
        *_give_back(manifest),
        "",
        f"The protocol's metrics are {', '.join(manifest['metrics'])}, the headline first. Keep `manifest.json`: it",
        "holds the checksums of protocol, items and order, against which codes are checked.",
        "",
    ]
    return "\n".join(lines)


def _training(dataset: Dataset) -> str:
    """Return where the training set lies, which two protocols of one name often differ in."""
    train, database = dataset.split.train, dataset.split.database
    shared = np.count_nonzero(np.isin(train, database))
    if shared == len(database):
        return "The training set is the whole database."
    if shared == len(train):
        return "The training set is a part of the database."
    if shared:
        return f"{shared:,} of the training items are in the database."
    return f"The training set is outside the database; together they have {len(train) + len(database):,} items."


def _files(manifest: Manifest) -> dict[str, str]:
    what = {
        "query": "queries",
        "train": "training set",
        "database": "database",
    }
    labels = {
        "classes": "class numbers, int64",
        "labels": "a column of 0 and 1 for each label, uint8",
        "neighbors": "",
    }[manifest["relevance"]]
    shown = {f"{part}.npy": f"{name}: row numbers of the items, in order, int64" for part, name in what.items()}
    shown |= {f"{part}_labels.npy": f"{name}: labels in that order, {labels}" for part, name in what.items()}
    shown |= {f"{LISTS[part]}": f"{name}: `path 0 0 1 …`, in that order" for part, name in what.items()}
    return shown | {
        "neighbors.npy": "each query's true nearest neighbours, nearest first, as positions in the database part",
        "features.npy": "the vectors of all items, a row each",
        "images.npy": "the images of all items, (item, height, width, channel), uint8",
        "images/": "the images of all items, named by their rows",
    }


def _train(dataset: Dataset, manifest: Manifest) -> list[str]:
    files = manifest["files"]
    array = next((name for name in ("images", "features") if f"{name}.npy" in files), None)
    lines = []
    if array is not None:
        lines += [
            "```python",
            "import numpy as np",
            "",
            f'{array} = np.load("{array}.npy", mmap_mode="r")',
            'query, train, database = (np.load(f"{part}.npy") for part in ("query", "train", "database"))',
            f"X = {array}[train]",
            "```",
        ]
    if "test.txt" in files:
        if lines:
            lines.append("")
        lines += [
            "DeepHash-pytorch and HashNet read `train.txt`, `test.txt` and `database.txt`. " + _where(dataset, files),
            "DeepHash-pytorch puts `data_path` in front of a path as it is, so let that end in `/`; HashNet opens a",
            "path as it is, so start it in that folder. **Set `shuffle=False` for the loaders of `test.txt` and",
            "`database.txt`**: DeepHash-pytorch shuffles both, and codes in another order are codes of other items.",
        ]
    return lines or ["The row numbers count the items of the data set as hashbench reads it."]


def _where(dataset: Dataset, files: Mapping[str, str]) -> str:
    """Return where the paths of the lists lead."""
    if "images/" in files:
        return "Paths begin in this folder."
    if dataset.names is None:
        return "They name images by their rows; export with `--images png` to have these files."
    return "They name images as the data set does."


def _give_back(manifest: Manifest) -> list[str]:
    truth = (
        "--neighbors neighbors.npy"
        if manifest["relevance"] == "neighbors"
        else "--query-labels query_labels.npy --database-labels database_labels.npy"
    )
    protocol = NameParts.of(manifest["protocol"]).choice
    backbone = "" if "features.npy" in manifest["files"] else '--backbone "what made the features" '
    return [
        "```sh",
        "hashbench score --query-codes query_codes.npy --database-codes database_codes.npy \\",
        f"  {truth}",
        "```",
        "",
        "`import` makes records of them, for tables with verdicts, reports and leaderboards. Give it the data options",
        "of the export, such as `--data-dir`, and `--labels-used` if training has read labels:",
        "",
        "```sh",
        f'hashbench import --as NAME --dataset {manifest["dataset"]} --protocol "{protocol}" --export . \\',
        "  --query-codes query_codes.npy --database-codes database_codes.npy \\",
        f'  --about "what made the codes" --training "what it was trained on" {backbone}\\',
        "  --no-labels-used --out DIR",
        "```",
    ]
