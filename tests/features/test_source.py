"""Backbones, augmentation, and the features that they produce."""

import io

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision import transforms

from hashbench import InputError, load_dataset
from hashbench.data.dataset import Dataset
from hashbench.data.images import EncodedImages
from hashbench.data.protocol import Protocol
from hashbench.data.splits import Split
from hashbench.data.view_recipes import PHOTO_VIEWS, ViewRecipe
from hashbench.features.backbones.dropout import mask_seeds
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.extracted import ExtractedFeatures
from hashbench.features.views import augment


@pytest.fixture(scope="module")
def photos():
    """Return smooth random colour images, (6, 40, 32, 3) uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(image).resize((32, 40), Image.BICUBIC)) for image in coarse])


def to_float(images):
    return torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() / 255


# --- views -----------------------------------------------------------------------------------------------


def test_views_of_a_larger_pool_begin_with_the_smaller(tmp_path):
    digits = load_dataset("digits")
    source = ExtractedFeatures(digits, open_backbone("pixels", device="cpu"), tmp_path)
    small = source.views(2, 0).data.copy()
    large = source.views(4, 0).data
    assert small.shape == (1497, 2, 64)
    assert large.dtype == np.float16
    assert (large[:, :2] == small).all()
    assert (large[:, 2] != large[:, 3]).any()
    assert (source.views(2, 1).data != small).any()
    assert source.views(2, 0).key != source.views(2, 1).key


def test_cached_features_are_read_without_opening_the_backbone(tmp_path):
    digits = load_dataset("digits")
    made = ExtractedFeatures(digits, open_backbone("pixels", device="cpu"), tmp_path).features()

    def unopened():
        raise AssertionError("the backbone was opened")

    again = ExtractedFeatures(digits, unopened, tmp_path, key=made.key).features()
    np.testing.assert_array_equal(again.data, made.data, strict=True)
    assert again.key == made.key
    with pytest.raises(AssertionError, match="was opened"):
        ExtractedFeatures(digits, unopened, tmp_path / "empty", key=made.key).features()


# --- augmentation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("box", [(0, 0, 40, 32), (3, 5, 20, 13), (39, 31, 1, 1), (0, 0, 40, 20)])
@pytest.mark.parametrize("size", [16, 40, 96])
def test_crop_and_resize_equal_pillows(photos, box, size):
    top, left, height, width = box
    parameters = augment.draw(ViewRecipe("none"), np.full((6, 2), (40, 32)), (0,))
    parameters = augment.ViewParameters(**{**vars(parameters), "box": torch.tensor([box] * 6).float()})
    found = augment.apply(to_float(photos), parameters, size)
    for image, view in zip(photos, found, strict=True):
        cropped = Image.fromarray(image).crop((left, top, left + width, top + height))
        pillow = cropped.resize((size, size), Image.BILINEAR)
        assert np.abs(np.asarray(pillow) / 255 - view.permute(1, 2, 0).numpy()).max() < 1.6 / 255


@pytest.mark.parametrize(
    ("step", "factor", "adjust"),
    [
        (0, 1.3, transforms.functional.adjust_brightness),
        (1, 0.7, transforms.functional.adjust_contrast),
        (2, 1.4, transforms.functional.adjust_saturation),
        (3, 0.08, transforms.functional.adjust_hue),
        (3, -0.1, transforms.functional.adjust_hue),
    ],
)
def test_each_colour_step_equals_torchvisions(photos, step, factor, adjust):
    images = to_float(photos)
    factors = torch.full((6, 1, 1, 1), factor)
    assert torch.allclose(augment._JITTER_STEPS[step](images.clone(), factors), adjust(images, factor), atol=2e-3)


def test_blur_equals_torchvisions(photos):
    sigma = torch.tensor([0.0, 0.1, 0.5, 1.0, 1.5, 2.0])
    found = augment._blur(to_float(photos), sigma, sigma.nonzero().squeeze(1))
    for image, view, s in zip(to_float(photos), found, sigma.tolist(), strict=True):
        expected = transforms.functional.gaussian_blur(image, [3, 3], [s, s]) if s else image
        assert torch.allclose(view, expected, atol=1e-5)


def test_views_have_the_distribution_of_the_pil_chain():
    """Compare pixel statistics of many views of one image with torchvision's PIL transforms, as CIBHash uses them."""
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(3)
    image = np.asarray(Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((32, 32), Image.BICUBIC))
    n = 1500
    chain = transforms.Compose(
        [
            transforms.RandomResizedCrop(32, scale=(0.5, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.7),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomApply([transforms.GaussianBlur(3, (0.1, 2.0))], p=0.5),
            transforms.ToTensor(),
        ]
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.stack([chain(Image.fromarray(image)) for _ in range(n)])
    images = to_float(np.repeat(image[None], n, axis=0))
    ours = augment.apply(images, augment.draw(PHOTO_VIEWS, np.full((n, 2), 32), (0,)), 32)

    def statistics(views):
        gray = views.mean(dim=1)
        return {
            "brightness": views.mean(dim=(1, 2, 3)),
            "contrast": gray.std(dim=(1, 2)),
            "saturation": (views.amax(dim=1) - views.amin(dim=1)).mean(dim=(1, 2)),
            "red against blue": (views[:, 0] - views[:, 2]).mean(dim=(1, 2)),
            "left against right": (gray[:, :, :16] - gray[:, :, 16:]).mean(dim=(1, 2)),
            "top against bottom": (gray[:, :16] - gray[:, 16:]).mean(dim=(1, 2)),
            "sharpness": (gray[:, 1:] - gray[:, :-1]).abs().mean(dim=(1, 2)),
            "centre pixel": gray[:, 16, 16],
        }

    found = {name: ks_2samp(values, statistics(theirs)[name]).pvalue for name, values in statistics(ours).items()}
    assert min(found.values()) > 1e-3 / len(found), found


def test_parameters_do_not_depend_on_the_batch(photos):
    parameters = augment.draw(PHOTO_VIEWS, np.full((6, 2), (40, 32)), (5, 1))
    whole = augment.apply(to_float(photos), parameters, 48)
    parts = [augment.apply(to_float(photos[i : i + 1]), parameters[slice(i, i + 1)], 48) for i in range(6)]
    assert torch.allclose(whole, torch.cat(parts), atol=1e-6)


def test_images_of_many_sizes_are_augmented_one_by_one():
    rng = np.random.default_rng(0)
    sizes = np.array([(40, 32), (17, 64), (300, 20)])
    images = [torch.from_numpy(rng.random((3, *size), np.float32)) for size in sizes]
    parameters = augment.draw(PHOTO_VIEWS, sizes, (5, 1))
    top, left, height, width = parameters.box.T
    assert (top + height <= torch.from_numpy(sizes)[:, 0]).all()
    assert (left + width <= torch.from_numpy(sizes)[:, 1]).all()
    together = augment.apply(images, parameters, 48)
    for row, image in enumerate(images):
        alone = augment.apply(image[None], parameters[slice(row, row + 1)], 48)
        assert torch.allclose(together[row], alone[0], atol=1e-6)


# --- backbones ---------------------------------------------------------------------------------------------


def test_the_bundled_weights_are_timms(photos):
    backbone = open_backbone("tf_efficientnet_lite0", image_size=64, device="cpu", precision="fp32")
    features = backbone.extract(backbone.resize(backbone.prepare(photos)))
    assert features.shape == (6, 1280)
    assert features.std() > 0.1
    assert backbone.key["weights"].startswith("579344248a93e230")
    again = backbone.extract(backbone.resize(backbone.prepare(photos[:1])))
    assert torch.allclose(features[:1], again, atol=1e-4)


def named_by_timm(state):
    """Return a state dict of torchvision's VGG16 with timm's names, whose layers fc6 and fc7 are convolutions."""
    names = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc"}
    shapes = {"classifier.0.weight": (4096, 512, 7, 7), "classifier.3.weight": (4096, 4096, 1, 1)}
    named = {}
    for key, value in state.items():
        layer, _, kind = key.rpartition(".")
        named[f"{names.get(layer, layer)}.{kind}"] = value.reshape(shapes.get(key, value.shape))
    return named


def vgg16(state, file):
    torch.save(state, file)
    return open_backbone("vgg16", weights=file, image_size=224, device="cpu", precision="fp32")


@pytest.mark.slow
def test_vgg16_is_fc7_after_relu(tmp_path, photos):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = torchvision.models.vgg16(weights=None).eval()
    backbone = vgg16(reference.state_dict(), tmp_path / "torchvision.pth")
    images = backbone.resize(backbone.prepare(photos[:2]))
    features = backbone.extract(images)
    assert features.shape == (2, 4096)
    assert torch.equal(features, vgg16(named_by_timm(reference.state_dict()), tmp_path / "timm.pth").extract(images))
    mean, std = (torch.tensor(backbone.key[name])[:, None, None] for name in ("mean", "std"))
    with torch.inference_mode():
        reference.classifier = reference.classifier[:5]
        expected = reference((images - mean) / std)
    assert torch.allclose(features, expected, atol=1e-4)
    assert (features >= 0).all()

    small = backbone.resize(backbone.prepare(photos[:3]))[..., ::2, ::2]
    features = backbone.extract(small)
    seeds = mask_seeds(1, np.arange(3))
    dropped = backbone.extract(small, seeds)
    assert torch.equal(dropped, backbone.extract(small, seeds))
    assert not torch.equal(dropped, backbone.extract(small, mask_seeds(2, np.arange(3))))
    assert torch.allclose(dropped[1:2], backbone.extract(small[1:2], seeds[1:2]), atol=1e-4)
    # Half of what ReLU leaves is dropped, once: a second dropout would leave a quarter.
    zeros, dropped_zeros = (float((values == 0).float().mean()) for values in (features, dropped))
    assert dropped_zeros == pytest.approx(0.5 + 0.5 * zeros, abs=0.06)
    assert torch.equal(features, backbone.extract(small))


@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_weights_that_do_not_fit(tmp_path, content):
    file = tmp_path / "weights.pth"
    if content is None:
        torch.save({"a": torch.zeros(3)}, file)
    else:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"not a readable state dict|does not fit the backbone"):
        open_backbone("tf_efficientnet_lite0", weights=file, device="cpu").network()


def test_nothing_in_a_weights_file_is_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"a": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(InputError, match="not a readable state dict"):
        open_backbone("tf_efficientnet_lite0", weights=tmp_path / "bomb.pth", device="cpu").network()


def test_encoded_images_of_many_sizes_go_through_the_network(tmp_path):
    rng = np.random.default_rng(0)
    contents, sizes = [], []
    for height, width in [(40, 32), (33, 64), (90, 50)] * 13:
        buffer = io.BytesIO()
        coarse = Image.fromarray(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8))
        coarse.resize((width, height), Image.BICUBIC).save(buffer, "JPEG")
        contents.append(buffer.getvalue())
        sizes.append((height, width))
    offsets = np.cumsum([0, *map(len, contents)])
    images = EncodedImages(np.frombuffer(b"".join(contents), np.uint8), offsets, np.array(sizes, np.int32))
    rows = np.arange(9, 39)
    dataset = Dataset(
        "many",
        Protocol("many/1", "by hand", 9, 30, 30, ("mAP@all",)),
        Split(rows, np.arange(9), rows),
        np.arange(39) % 3,
        images=images,
        views=PHOTO_VIEWS,
    )
    backbone = open_backbone("tf_efficientnet_lite0", image_size=64, device="cpu", precision="fp32")
    source = ExtractedFeatures(dataset, backbone, tmp_path)
    features = source.features().data
    assert features.shape == (39, 1280)
    (alone,) = backbone.extract(backbone.load(images[38:39])).numpy()
    assert np.allclose(features[38], alone, atol=1e-4)
    pool = source.views(2, 0).data
    assert pool.shape == (30, 2, 1280)
    assert np.isfinite(pool).all()
    assert not np.allclose(pool[:, 0], pool[:, 1])
    with pytest.raises(InputError, match="differ in size"):
        ExtractedFeatures(dataset, open_backbone("pixels", device="cpu"), tmp_path).features()


@pytest.fixture
def on_one_and_two_devices(tmp_path, monkeypatch):
    """Return the sources of 109 random images' features on one device and on two; several steps for each."""
    monkeypatch.setattr("hashbench.features.extracted.FEATURE_STEP", 32)
    rng = np.random.default_rng(0)
    rows = np.arange(9, 109)
    dataset = Dataset(
        "noise",
        Protocol("noise/1", "by hand", 9, 100, 100, ("mAP@all",)),
        Split(rows, np.arange(9), rows),
        np.arange(109) % 3,
        images=rng.integers(0, 256, (109, 32, 32, 3), dtype=np.uint8),
        views=PHOTO_VIEWS,
    )
    backbone = open_backbone("tf_efficientnet_lite0", image_size=32, device="cpu", precision="fp32")
    backbone = backbone.with_parameters(1.01 * backbone.parameters(backbone.network()))
    return [ExtractedFeatures(dataset, backbone, tmp_path / str(devices), "cpu", devices) for devices in (1, 2)]


@pytest.mark.slow
def test_two_devices_extract_what_one_does(on_one_and_two_devices):
    one, two = on_one_and_two_devices
    assert np.allclose(one.features().data, two.features().data, rtol=1e-4, atol=2e-5)
    assert one.key == two.key


@pytest.mark.slow
@pytest.mark.usefixtures("forked_processes")
def test_two_devices_make_the_views_that_one_does(on_one_and_two_devices, tmp_path):
    one, two = on_one_and_two_devices
    assert np.allclose(one.views(3, 0).data, two.views(3, 0).data, rtol=1e-3, atol=2e-4)
    assert one.key == two.key
    again = ExtractedFeatures(two.dataset, two.backbone, tmp_path / "2")
    assert (again.views(2, 0).data == two.views(3, 0).data[:, :2]).all()


def test_a_compiled_backbone_has_a_different_key(photos, monkeypatch):
    compiled = []

    def compile(function):
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compile)
    options = {"image_size": 32, "device": "cpu", "onnx": False}
    plain = open_backbone("tf_efficientnet_lite0", **options)
    other = open_backbone("tf_efficientnet_lite0", compiled=True, **options)
    assert other.key == {**plain.key, "compiled": True}
    assert torch.equal(other.extract(other.load(photos)), plain.extract(plain.load(photos)))
    assert len(compiled) == 1
    with pytest.raises(InputError, match="--compile: the pixels"):
        open_backbone("pixels", compiled=True, device="cpu")
