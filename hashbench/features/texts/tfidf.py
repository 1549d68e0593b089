"""Word counts and TF-IDF by scikit-learn, of the most frequent words of the training texts."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from hashbench.data.readers.texts.texts import Texts
from hashbench.errors import InputError
from hashbench.features.texts.settings import TfidfSettings
from hashbench.files.hashing import canonical_hash
from hashbench.progress import progress, to_stderr

if TYPE_CHECKING:
    from sklearn.feature_extraction.text import CountVectorizer

BATCH = 1024
"""Texts at once; it decides no value."""
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Letters of scripts that have no spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""
LONG_RUN = 6
"""Mean length of unbroken runs of such letters above which words are not separated: segmented words are shorter."""


class Tfidf:
    """The backbone of word counts and TF-IDF.

    Parameters
    ----------
    settings : TfidfSettings
    texts : Texts
        All texts of the data set.
    rows : ndarray of int64
        The training set among them: which words are kept, and how rare they are, is learned from it alone.

    Attributes
    ----------
    key : dict
        What decides the features, beside the texts.
    size : None
        Texts have no size.
    batch_size : int
    weights : None
    """

    size = None
    batch_size = BATCH
    weights = None

    def __init__(self, settings: TfidfSettings, texts: Texts, rows: np.ndarray) -> None:
        self.settings, self._texts, self._rows = settings, texts, rows
        self.key: dict[str, Any] = {
            "backbone": settings.name,
            "weights": None,
            "image_size": None,
            "precision": "32-true",
            **asdict(settings),
            "fitted_on": canonical_hash(rows.tolist()),
        }

    def features(self, texts: list[str]) -> np.ndarray:
        """Return the weights of the kept words in texts, (n, n_words), float32.

        Raises
        ------
        InputError
            The training texts have no words, or words that are not separated.
        """
        return self.vectorizer.transform(texts).toarray().astype(np.float32)

    def dropped(self, text: str, rng: np.random.Generator, rate: float) -> str:
        """Return a text without some of its words or characters; at least one is kept."""
        if self.settings.unit == "characters":
            return "".join(some_of(list(text), rng, rate))
        return " ".join(some_of(text.split(), rng, rate))

    def release(self) -> None:
        """Keep what was learned: it is small."""

    @cached_property
    def vectorizer(self) -> CountVectorizer:
        """scikit-learn's vectorizer, with the words of the training texts and their inverse document frequencies."""
        from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

        chosen: dict[str, Any] = {"stop_words": None if self.settings.stop_words == "none" else "english"}
        if self.settings.unit == "characters":
            chosen = {"analyzer": "char", "ngram_range": (1, 2)}
        frequency, in_texts = self._counted(CountVectorizer(**chosen).build_analyzer())
        usual = [word for word, n in in_texts.items() if n >= self.settings.min_df]
        if len(usual) < 2:
            raise InputError(self._no_words(usual))
        # Not scikit-learn's max_features: of words that are equally frequent, it keeps any.
        kept = sorted(sorted(usual, key=lambda word: (-frequency[word], word))[: self.settings.max_features])
        share = sum(frequency[word] for word in kept) / sum(frequency.values())
        to_stderr(
            f"{self.key['backbone']}: {len(kept):,} of {len(in_texts):,} {self.settings.unit} of the training texts "
            f"are kept, the most frequent, {share:.0%} of all that is written"
        )
        if self.settings.weighting == "counts":
            return CountVectorizer(**chosen, vocabulary=kept)
        vectorizer = TfidfVectorizer(**chosen, vocabulary=kept)
        n_with = np.array([in_texts[word] for word in kept], np.float64)
        vectorizer.idf_ = np.log((1 + len(self._rows)) / (1 + n_with)) + 1  # as its fit computes it
        return vectorizer

    def _counted(self, analyzer: Any) -> tuple[Counter[str], Counter[str]]:
        """Return how often each word occurs in the training texts, and in how many of them."""
        frequency: Counter[str] = Counter()
        in_texts: Counter[str] = Counter()
        n_unspaced = n_runs = n_letters = 0
        with progress(f"words of {len(self._rows):,} training texts", len(self._rows)) as bar:
            for start in range(0, len(self._rows), BATCH):
                for text in self._texts[self._rows[start : start + BATCH]]:
                    words = Counter(analyzer(text))
                    frequency.update(words)
                    in_texts.update(words.keys())
                    n_letters += len(text) - text.count(" ")
                    runs = [] if text.isascii() else UNSPACED.findall(text)
                    n_runs += len(runs)
                    n_unspaced += sum(map(len, runs))
                bar.advance(min(BATCH, len(self._rows) - start))
        if self.settings.unit == "words" and 2 * n_unspaced > n_letters and n_unspaced > LONG_RUN * n_runs:
            raise InputError(
                f"--backbone {self.key['backbone']}: {n_unspaced / n_letters:.0%} of the letters are of scripts "
                "without spaces between words, and words are not separated: take --backbone tfidf[unit=characters], or "
                "put spaces between words"
            )
        return frequency, in_texts

    def _no_words(self, usual: list[str]) -> str:
        rules = [f"stop_words={self.settings.stop_words}"] if self.settings.stop_words != "none" else []
        rules += [f"min_df={self.settings.min_df}"] if self.settings.min_df > 1 else []
        what = f"one word, {usual[0]!r:.60}," if usual else "no word"
        why = f" after {' and '.join(rules)}" if rules else ""
        return (
            f"--backbone {self.key['backbone']}: {what} is left of {len(self._rows):,} training texts{why}: words "
            "are two letters or more; give other settings or texts"
        )


def some_of(pieces: list[str], rng: np.random.Generator, rate: float) -> list[str]:
    """Return pieces, each left out with a probability; one of them if all would be."""
    draws = rng.random(len(pieces))
    kept = [piece for piece, draw in zip(pieces, draws, strict=True) if draw >= rate]
    return kept or [pieces[int(np.argmax(draws))]]
