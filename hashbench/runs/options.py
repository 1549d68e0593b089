"""What a run is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_METHODS = "cibhash,itq,lsh"
DEFAULT_DATASET = "digits"
DEFAULT_BITS = "16,32,64"


@dataclass(frozen=True)
class RunOptions:
    """What a run is asked to do; the command line's options, under the same names.

    Attributes
    ----------
    methods : str
        Specifications such as ``"cibhash[epochs=20],itq"``.
    dataset : str
    bits, seeds : str or sequence of int
    backbone, weights, image_size, device, precision, normalization
        See `hashbench.features.backbone.open_backbone`; None is the data set's default.
    compile : bool
        Compile the backbone.
    devices : int
        How many devices extract features, and train a method that can use several.
    data_dir, cache_dir : Path or None
    plugins : sequence of Path
    out : Path
    fresh : bool
        Recompute records that are there already.
    download : bool
    protocol : str or None
        One of the data set's, such as ``"mscoco-cibhash/1[queries=20]"``; its first by default.
    splits : Path or None
        Folder of published lists that take the place of the protocol's draw.
    skip_broken : bool
        Leave broken images out of the data.
    save_models : bool
        Keep each trained method in ``out/models``; finished cells without one are run again.
    """

    methods: str = DEFAULT_METHODS
    dataset: str = DEFAULT_DATASET
    bits: str | Sequence[int] = DEFAULT_BITS
    seeds: str | Sequence[int] = "0"
    backbone: str | None = None
    weights: Path | None = None
    image_size: int | None = None
    device: str = "auto"
    devices: int = 1
    precision: str = "auto"
    normalization: str = "imagenet"
    compile: bool = False
    data_dir: Path | None = None
    cache_dir: Path | None = None
    plugins: Sequence[Path] = field(default_factory=tuple)
    out: Path = Path("runs/latest")
    fresh: bool = False
    download: bool = False
    protocol: str | None = None
    splits: Path | None = None
    skip_broken: bool = False
    save_models: bool = False
