"""Features and views on a GPU, as far as a pretended one shows: the CPU's values, few copies and no waits."""

import numpy as np
import pytest
import torch
from pretended_gpu import GPU, pretended_gpu
from small_backbones import encoded_photos, photos, small_backbone

from hashbench.data.view_recipes import PHOTO_VIEWS, ViewRecipe
from hashbench.features.backbones.dropout import dropout_key, mask_seeds, masks
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.extraction import extract_features, extract_views, views_at_once
from hashbench.features.views import augment

ROWS = np.arange(1, 12)
TURNED = ViewRecipe("turned", rotation=10, shift=2, zoom=(0.9, 1.1), flip=0.5, jitter=0.8, brightness=0.3, blur=0.5)
WHOLE = ViewRecipe("whole", jitter=0.7, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, gray=0.3)


@pytest.mark.parametrize("architecture", ["test_efficientnet", "vgg_tiny"])
@pytest.mark.parametrize("images", [photos(12), encoded_photos(12)], ids=["array", "encoded"])
def test_features_and_views_are_the_cpus(tmp_path, architecture, images):
    backbone = small_backbone(tmp_path, architecture)
    features = extract_features(backbone, images, ROWS)
    views = extract_views(backbone, images, ROWS, PHOTO_VIEWS, 0, range(2))
    with pretended_gpu() as counts:
        backbone = small_backbone(tmp_path, architecture, "cuda")
        extract_features(backbone, images, ROWS)  # the weights' upload
        counts.clear()
        found = extract_features(backbone, images, ROWS)
        assert (counts["uploads"], counts["pageable uploads"], counts["waits"]) == (1, 0, 1)
        counts.clear()
        found_views = extract_views(backbone, images, ROWS, PHOTO_VIEWS, 0, range(2))
        dropout = architecture == "vgg_tiny"
        assert counts["uploads"] <= 1 + 2 * (2 + 2 * dropout)  # images, then a view's parameters and masks
        assert counts["pageable uploads"] == 0
        assert counts["waits"] <= 2  # for each view's features
        assert counts["operations"] <= 2 * 900 + 2 * 130 * len(ROWS) * isinstance(images, type(encoded_photos(1)))
    assert np.abs(found - features).max() < 1e-5
    assert found_views.shape == views.shape == (2, len(ROWS), features.shape[1])
    assert np.abs(found_views.astype(np.float32) - views).max() < 1e-3


@pytest.mark.parametrize("recipe", [PHOTO_VIEWS, TURNED, WHOLE], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("channels", [1, 3])
def test_augmentation_gives_the_cpus_bits_without_waiting(recipe, channels):
    images = torch.from_numpy(photos(9)[:, :32, :, :channels]).permute(0, 3, 1, 2).float() / 255
    parameters = augment.draw(recipe, np.full((9, 2), 32), (0, 1))
    expected = augment.apply(images.clone(), parameters, 32)
    with pretended_gpu() as counts:
        on_gpu = images.to(GPU)
        counts.clear()
        found = augment.apply(on_gpu, parameters, 32)
        assert counts["waits"] == 0
        assert (counts["uploads"], counts["pageable uploads"]) == (2, 0)
        assert counts["operations"] <= 490
        found = found.cpu()
    assert torch.equal(found, expected)


def test_pixels_are_views_too(digits):
    images = digits.images[:20]
    expected = extract_views(open_backbone("pixels", device="cpu"), images, ROWS, digits.views, 0, [3])
    with pretended_gpu():
        found = extract_views(open_backbone("pixels", device="cuda"), images, ROWS, digits.views, 0, [3])
    assert (found == expected).all()


def test_masks_depend_on_image_view_and_layer_alone(tmp_path):
    seeds = mask_seeds(7, np.arange(300))
    kept = masks(seeds, 6, 4096)
    assert set(np.unique(kept)) == {0, 1}
    assert (masks(seeds[40:41], 6, 4096) == kept[40:41]).all()
    for other in (masks(seeds, 7, 4096), masks(mask_seeds(8, np.arange(300)), 6, 4096), kept[::-1], kept[:, ::-1]):
        assert np.abs((other == kept).mean() - 0.5) < 0.002
    spread = 0.5 / np.sqrt(4096)  # standard deviation of a fair coin's mean
    assert np.abs(kept.mean() - 0.5) < 5 * spread / np.sqrt(300)
    assert kept.mean(axis=1).std() == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("size", [1, 4, 11])
def test_views_with_dropout_do_not_depend_on_the_batch(tmp_path, monkeypatch, size):
    backbone = small_backbone(tmp_path, "vgg_tiny")
    whole = extract_views(backbone, photos(12), ROWS, PHOTO_VIEWS, 0, [0])
    monkeypatch.setattr("hashbench.features.backbones.backbone.BATCH", {"cpu": size, "cuda": size})
    parts = extract_views(backbone, photos(12), ROWS, PHOTO_VIEWS, 0, [0])
    assert np.abs(parts.astype(np.float32) - whole).max() < 1e-3
    assert ((whole == 0) == (parts == 0)).all()
    assert 0.4 < (whole == 0).mean() < 0.95


def test_the_key_of_views_with_dropout_says_how_masks_are_drawn():
    assert dropout_key({"backbone": "vgg16.tv_in1k"})["dropout"]["masks"] == "per image"
    assert dropout_key({"backbone": "tf_efficientnet_lite0"}) == {}


def test_views_share_the_reading_on_a_gpu_only():
    assert views_at_once(5_000, "cpu") == 1
    assert views_at_once(5_000, "cuda") == 8
    assert views_at_once(100_000, "cuda") == 2
    assert views_at_once(10**7, "cuda") == 1


def test_views_made_together_are_those_made_alone(tmp_path):
    backbone = small_backbone(tmp_path)
    together = extract_views(backbone, encoded_photos(12), ROWS, PHOTO_VIEWS, 0, range(3))
    for view in range(3):
        alone = extract_views(backbone, encoded_photos(12), ROWS, PHOTO_VIEWS, 0, [view])
        assert (alone[0] == together[view]).all()
