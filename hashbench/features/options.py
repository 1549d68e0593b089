"""How images become features: the options that a run, the command line and the library share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class BackboneOptions:
    """What images become features by, and on which devices; None is the data set's default."""

    backbone: str | None = field(
        default=None, metadata={"help": "pixels, a timm model's name, or hf-hub:<owner>/<model>[@<revision>]."}
    )
    weights: Path | None = field(default=None, metadata={"help": "State dict for the backbone."})
    image_size: int | None = field(
        default=None, metadata={"help": "Side in pixels that the backbone gets.", "minimum": 1}
    )
    device: str = field(
        default="auto",
        metadata={
            "help": "Where the backbone and methods that train on a device run.",
            "choices": ("auto", "cpu", "cuda"),
        },
    )
    devices: int = field(
        default=1,
        metadata={"help": "How many devices extract features, and train methods that can use several.", "minimum": 1},
    )
    precision: str = field(
        default="auto",
        metadata={"help": "What the backbone computes in.", "choices": ("auto", "bf16", "fp16", "fp32")},
    )
    normalization: str = field(
        default="imagenet",
        metadata={
            "help": "ImageNet's mean and deviation, as CIBHash's code has it, or the model's own.",
            "choices": ("imagenet", "model"),
        },
    )
    compile: bool = field(
        default=False, metadata={"help": "Compile the backbone: faster features, a minute or more to begin with."}
    )
