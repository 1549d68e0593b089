"""Features and views of texts, computed once, in steps, and kept in the cache as those of images are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hashbench.data.images import EncodedImages, batches
from hashbench.data.readers.texts.texts import Texts, WordDropout
from hashbench.data.view_recipes import ViewRecipe
from hashbench.errors import Unsupported
from hashbench.features.extracted import FEATURE_STEP, ExtractedFeatures
from hashbench.features.source import Features, FeatureSource
from hashbench.features.texts.sentences import SentenceEncoder
from hashbench.features.texts.tfidf import Tfidf
from hashbench.features.tunable import Tunable
from hashbench.progress import to_stderr

TextBackbone = Tfidf | SentenceEncoder


class TextFeatures(ExtractedFeatures):
    """Features and view pools of texts through one backbone, kept in the cache."""

    items = "texts"

    @cached_property
    def _features(self) -> Features:
        features = super()._features
        empty = _zero_rows(features.data)
        if len(empty):
            to_stderr(
                f"{self.dataset.name}: warning: {len(empty):,} of {len(features.data):,} texts have none of the "
                f"{features.data.shape[1]:,} kept words, row {empty[0]} the first; their vectors are 0"
            )
        return features

    def tunable(self) -> Tunable:
        """Refuse: backbones of texts are not trained.

        Raises
        ------
        Unsupported
            Always.
        """
        raise Unsupported(f"{self.dataset.name}: backbones of texts are not trained; leave finetune out")

    def tuned(self, parameters: np.ndarray, cache_dir: Path) -> FeatureSource:
        """Refuse, as `tunable` does."""
        return FeatureSource.tuned(self, parameters, cache_dir)

    def release(self) -> None:
        """Give back the memory of the encoder; features and views stay."""
        opened = vars(self).get("backbone")
        if opened is not None:
            opened.release()

    def _images(self) -> Texts:
        assert isinstance(self.dataset.images, Texts)
        return self.dataset.images

    def _on_device(self) -> Any:
        return self.backbone

    def _views_work(self) -> Callable[..., np.ndarray]:
        return extract_text_views


def extract_text_views(
    backbone: TextBackbone,
    texts: np.ndarray | EncodedImages,
    rows: np.ndarray,
    recipe: ViewRecipe,
    views_seed: int,
    views: Sequence[int],
    advance: Callable[[int], object] = lambda n: None,
) -> np.ndarray:
    """Return the features of views of some texts, (n_views, n, d), float16.

    View v depends only on the seed and v: words are drawn by ``numpy.random.default_rng((views_seed, v))``.
    """
    assert isinstance(recipe, WordDropout)
    generators = [np.random.default_rng((views_seed, view)) for view in views]
    blocks = []
    for batch in batches(texts, rows, backbone.batch_size):
        made = []
        for rng in generators:
            dropped = [backbone.dropped(str(text), rng, recipe.rate) for text in batch]
            made.append(backbone.features(dropped).astype(np.float16))
        blocks.append(np.stack(made))
        advance(len(batch) * len(views))
    return np.concatenate(blocks, axis=1)


def _zero_rows(data: np.ndarray) -> np.ndarray:
    """Return the rows that are all zeros."""
    blocks = [~data[start : start + FEATURE_STEP].any(axis=1) for start in range(0, len(data), FEATURE_STEP)]
    return np.flatnonzero(np.concatenate(blocks))
