"""Measures hashbench on a GPU and writes a file to send back: extraction, views, training, fine-tuning.

Run with ``python benchmarks/gpu.py`` on a machine with a GPU (about ten minutes), and send gpu.json to us, please;
``--cifar10 DIR`` also computes CIFAR-10 by the paper's recipe (VGG16, whose weights timm has or downloads, or
``--weights FILE``). ``--small`` takes tiny images and networks, also on a CPU, to see whether all works.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import timm
import torch

import hashbench
from hashbench import InputError, load_method
from hashbench.data.view_recipes import PHOTO_VIEWS
from hashbench.features.backbones.backbone import Backbone
from hashbench.features.backbones.opening import IMAGENET
from hashbench.features.extraction import extract_features, extract_views
from hashbench.features.hardware.deterministic import deterministic_algorithms
from hashbench.features.hardware.devices import choose_device, open_fabric
from hashbench.features.hardware.precision import PRECISIONS, choose_precision, fabric_precision
from hashbench.features.tunable import Tunable
from hashbench.runs.environment import environment

SIZES = {  # backbones, side in pixels, images, rows of a head's training set, epochs
    False: (("vgg16", "resnet50", "tf_efficientnet_lite0"), 224, 4096, 5000, 60),
    True: (("test_efficientnet",), 32, 32, 128, 2),
}
EVERY_S = 0.2


class Share:
    """The share of the time in which the GPU computes, by nvidia-smi, while a block runs."""

    def __init__(self, device):
        self.seen, self.ended = [], threading.Event()
        self.thread = threading.Thread(target=self.watch) if device == "cuda" else None

    def watch(self):
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
        while not self.ended.wait(EVERY_S):
            try:
                shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
                self.seen.append(float(shown))
            except (OSError, ValueError, subprocess.SubprocessError):
                return

    def __enter__(self):
        if self.thread:
            self.thread.start()
        return self

    def __exit__(self, *exception):
        self.ended.set()
        if self.thread:
            self.thread.join()

    @property
    def median(self):
        return statistics.median(self.seen) / 100 if self.seen else None


def measured(what, device, n_images, function, /, *arguments, **options):
    """Call a function and return how fast it was, what share of it the GPU computed, and its memory."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
    started = time.perf_counter()
    with Share(device) as share:
        function(*arguments, **options)
        if device == "cuda":
            torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    peak = torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else None
    rate, busy = n_images / seconds, share.median
    shown = "     -" if busy is None else f"{busy:6.0%}"
    memory = "      -" if peak is None else f"{peak:7,.0f}"
    print(f"{what:58} {rate:10,.0f} img/s  GPU {shown}  {memory} MB", flush=True)
    return {"what": what, "images_per_s": rate, "s": seconds, "gpu_share": busy, "peak_mb": peak}


def backbone_of(name, size, device, precision, folder):
    """Return a backbone with random weights: they change no speed."""
    file = folder / f"{name}.pt"
    if not file.exists():
        torch.manual_seed(0)
        torch.save(timm.create_model(name, pretrained=False).state_dict(), file)
    mean, std = map(list, IMAGENET)
    key = {"backbone": name, "weights": "random", "image_size": size, "interpolation": "bilinear"}
    key |= {"mean": mean, "std": std, "precision": precision}
    return Backbone(key, open_fabric(device, precision=fabric_precision(precision)), file)


def precisions(device):
    """Return the precisions that a device has."""
    found = []
    for word in ("fp32", "tf32", "bf16", "fp16"):
        try:
            choose_precision(word, device)
        except InputError:
            continue
        found.append(PRECISIONS[word])
    return found


def extractions(device, small, folder):
    backbones, size, n, _, _ = SIZES[small]
    images = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    rows = np.arange(n)
    for name in backbones:
        for precision in precisions(device)[: 1 if small else None]:
            backbone = backbone_of(name, size, device, precision, folder)
            extract_features(backbone, images, rows[: backbone.batch_size])
            what = f"features of {name} at {size} in {precision}"
            yield measured(what, device, n, extract_features, backbone, images, rows)
            what = f"2 views of {name} at {size} in {precision}"
            yield measured(what, device, 2 * n, extract_views, backbone, images, rows, PHOTO_VIEWS, 0, range(2))


def heads(device, small):
    _, _, _, n, epochs = SIZES[small]
    X = np.random.default_rng(0).standard_normal((n, 1280)).astype(np.float32)
    views = np.stack([X, X + 0.1], axis=1).astype(np.float16)
    for name in ("cibhash", "nsh", "crovca", "tbh", "greedyhash"):
        extras = {"views": views} if name in ("cibhash", "nsh", "crovca") else {}
        params = {"epochs": epochs, "batch_size": 64, "random_state": 0, **({"n_views": 2} if extras else {})}
        method = load_method(name)(32, **params)
        yield measured(f"{name}, a head", device, n * epochs, method.fit, X, device=device, **extras)


def tunings(device, small, folder):
    backbones, size, n, _, _ = SIZES[small]
    n = n // 4
    images = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)
    for name in backbones:
        for precision in precisions(device)[: 1 if small else None]:
            backbone = backbone_of(name, size, device, precision, folder)
            width = backbone.features(images[:1]).shape[1]
            tunable = Tunable(images, np.arange(n), PHOTO_VIEWS, backbone.key, backbone.weights)
            method = load_method("cibhash")(
                32, epochs=2, batch_size=8 if small else 64, finetune=1e-5, precision=precision, random_state=0
            )
            X = np.zeros((n, width), np.float32)
            what = f"fine-tuning {name} at {size} in {precision}, two views"
            yield measured(what, device, 4 * n, method.fit, X, tunable=tunable, device=device)


def repeated(device):
    """Return whether trainings repeat themselves bit for bit, with and without deterministic algorithms.

    Each in a new process: torch looks only once, at the first product, whether cuBLAS is set up for them.
    """
    equal = {}
    for name, wanted in (("default", False), ("deterministic", True)):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            equal[name] = process.submit(difference, device, device, wanted).result() == 0
    print(f"the same bits again: {equal}", flush=True)
    return equal


def difference(one, other, deterministic=False):
    """Return the largest difference between a small network's weights after training on a device and on another."""
    X = np.random.default_rng(0).standard_normal((256, 64)).astype(np.float32)
    with deterministic_algorithms(deterministic):
        first, second = (
            load_method("tbh")(16, epochs=3, batch_size=64, random_state=0).fit(X, device=device)
            for device in (one, other)
        )
    return float(np.abs(first.weights1_ - second.weights1_).max())


def paper(folder, options, device):
    """Compute CIFAR-10 by the paper's recipe; return the rows, or why there are none."""
    try:
        rows = hashbench.run(
            methods="cibhash,itq,lsh",
            dataset="cifar10",
            data_dir=options.cifar10,
            backbone="vgg16",
            weights=options.weights,
            bits="16,32,64",
            device=device,
            out=folder / "cifar10",
        )
    except InputError as error:
        print(f"CIFAR-10 was not computed: {error}", flush=True)
        return str(error)
    print(rows.to_string(), flush=True)
    return json.loads(rows.to_json(orient="records"))


def main():
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--cifar10", type=Path, help="folder of CIFAR-10: compute it by the paper's recipe")
    parser.add_argument("--weights", type=Path, help="state dict of VGG16")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    options = parser.parse_args()
    try:
        device = choose_device(options.device)
    except InputError as error:
        sys.exit(f"gpu.py: {error}")
    if device == "cpu" and not options.small:
        sys.exit("gpu.py: no GPU is visible to torch; --small runs on a CPU")
    measurements = []
    with tempfile.TemporaryDirectory() as folder:
        for part in (
            extractions(device, options.small, Path(folder)),
            heads(device, options.small),
            tunings(device, options.small, Path(folder)),
        ):
            measurements += part
        found = {
            "device": device,
            "environment": environment(),
            "measurements": measurements,
            "same_bits_again": repeated(device),
            "largest_difference_to_cpu": difference("cpu", device),
            "cifar10": paper(Path(folder), options, device) if options.cifar10 else None,
        }
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(f"written: {options.out}")


if __name__ == "__main__":
    main()
