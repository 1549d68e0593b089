"""Backbones small enough to train within a test, with random weights, and images for them."""

import io

import numpy as np
import timm
import torch
from lightning_fabric import Fabric
from PIL import Image
from timm.models import register_model
from timm.models.vgg import VGG, ConvMlp

from hashbench.data.images import EncodedImages
from hashbench.features.backbones.backbone import Backbone
from hashbench.features.backbones.opening import IMAGENET
from hashbench.features.hardware.precision import fabric_precision


@register_model
def vgg_tiny(pretrained=False, **unused):
    """Return a VGG of two convolutions, with fc6 and fc7 of 64 features."""
    network = VGG(cfg=[8, "M", 8, "M"])
    network.pre_logits = ConvMlp(8, 64, 7)
    network.head_hidden_size = 64
    return network


def small_backbone(folder, architecture="test_efficientnet", device="cpu", precision="32-true"):
    """Return a backbone of 32 x 32 images; equal for equal architectures."""
    file = folder / f"{architecture}.pt"
    if not file.exists():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            torch.save(timm.create_model(architecture, pretrained=False).state_dict(), file)
    mean, std = map(list, IMAGENET)
    key = {"backbone": architecture, "weights": "random", "image_size": 32, "interpolation": "bilinear"}
    key |= {"mean": mean, "std": std, "precision": precision}
    return Backbone(key, Fabric(accelerator=device, devices=1, precision=fabric_precision(precision)), file)


def width(architecture):
    """Return the number of a backbone's features."""
    return 64 if architecture == "vgg_tiny" else timm.create_model(architecture).num_features


def photos(n):
    """Return smooth random colour images, (n, 36, 32, 3) uint8."""
    coarse = np.random.default_rng(0).integers(0, 256, (n, 5, 4, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(image).resize((32, 36), Image.BICUBIC)) for image in coarse])


def encoded_photos(n):
    """Return the same as PNG files of sizes that differ."""
    files, sizes = [], []
    for row, pixels in enumerate(photos(n)):
        image, buffer = Image.fromarray(pixels[: 36 - row % 3]), io.BytesIO()
        image.save(buffer, "PNG")
        files.append(np.frombuffer(buffer.getvalue(), np.uint8))
        sizes.append((image.height, image.width))
    offsets = np.cumsum([0, *map(len, files)])
    return EncodedImages(np.concatenate(files), offsets, np.array(sizes, np.int32))
