"""How images become features, as a user asks for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hashbench.features.hardware.devices import read_device
from hashbench.options import option


@dataclass(frozen=True)
class BackboneOptions:
    """The backbone and what it runs on; None is the data set's default.

    The fields' help texts say what each is.
    """

    backbone: str | None = option(
        None, "A timm model, vgg16, or pixels; for texts: tfidf, minilm or sentences, see docs/datasets.md."
    )
    weights: Path | None = option(None, "State dict of the backbone, or the folder of a sentence encoder.")
    image_size: int | None = option(None, "Side of the backbone's input, pixels.", minimum=1)
    device: str = option("auto", "auto, cpu, cuda, or one GPU such as cuda:1.", read=read_device)
    devices: int = option(1, "Number of devices for extraction and training.", minimum=1)
    precision: str = option(
        "fp32",
        "fp32, which is the same on every machine, or bf16, fp16, tf32 where the hardware is faster with them.",
        choices=("fp32", "bf16", "fp16", "tf32"),
    )
    normalization: str = option(
        "imagenet",
        "imagenet: as in CIBHash's code; model: as in the backbone's training.",
        choices=("imagenet", "model"),
    )
    transform: str = option(
        "square",
        "square: resized to a square; model: timm's resize, crop, interpolation, mean and std for the backbone.",
        choices=("square", "model"),
    )
    batch_size: int | None = option(
        None,
        "Images at once through the backbone; by default 32 on a CPU, 256 on a GPU, fewer where they do not fit.",
        minimum=1,
    )
    compile: bool = option(False, "Compile the backbone; worth it for 100,000 images and views or more.")
    deterministic: bool = option(
        False, "On a GPU, only algorithms that give the same bits each time; slower, and an error where there is none."
    )
