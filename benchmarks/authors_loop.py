"""Trains CIBHash as its authors' script does, two freshly augmented views per image and epoch, compared with our pool.

Torchvision's PIL transforms make the views, the frozen backbone turns them into features in bfloat16 where the
processor has it, and the head takes a step per batch of 64. Nothing is kept from epoch to epoch. The backbone is in
evaluation mode, so an epoch's features can be computed first and serve the heads of several seeds, each with its own
batches: the same computation for each of them.

Run with ``python benchmarks/authors_loop.py --data-dir DIR``; ``--epochs 1 --seeds 0`` times a single epoch.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import Linear, ReLU, Sequential
from torch.nn.functional import cross_entropy, normalize
from torchvision import transforms

import hashbench
from hashbench.features.backbones.opening import open_backbone
from hashbench.features.extracted import ExtractedFeatures
from hashbench.files.cache import cache_directory

SIZE, BATCH, TEMPERATURE, BETA = 128, 64, 0.3, 0.001
CHAIN = transforms.Compose(
    [
        transforms.RandomResizedCrop(SIZE, scale=(0.5, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.7),
        transforms.RandomGrayscale(p=0.2),
        transforms.RandomApply([transforms.GaussianBlur(3, (0.1, 2.0))], p=0.5),
        transforms.ToTensor(),
    ]
)


class TwoViews(torch.utils.data.Dataset):
    """Two views of each image."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = Image.fromarray(self.images[index])
        return torch.stack([CHAIN(image), CHAIN(image)])


def epoch_features(images, backbone, workers):
    """Return the features (n, 2, d) of two fresh views of every image."""
    loader = torch.utils.data.DataLoader(TwoViews(images), batch_size=16, num_workers=workers)
    return torch.cat([backbone.extract(pair.flatten(0, 1)).unflatten(0, (-1, 2)) for pair in loader])


def step(head, adam, first, second):
    """Take one step; return the contrastive term and the divergence."""
    p, q = torch.sigmoid(head(first)), torch.sigmoid(head(second))
    probabilities = torch.cat([p, q])
    codes = torch.where(probabilities > 0.5, 1.0, -1.0) - probabilities.detach() + probabilities
    similarity = normalize(codes) @ normalize(codes).T / TEMPERATURE
    similarity = similarity.masked_fill(torch.eye(len(codes), dtype=torch.bool), float("-inf"))
    n = len(first)
    contrastive = cross_entropy(similarity, torch.cat([torch.arange(n) + n, torch.arange(n)]))
    kl = (divergence(p, q.detach()) + divergence(q, p.detach())) / 2
    adam.zero_grad()
    (contrastive + BETA * kl).backward()
    adam.step()
    return contrastive.item(), kl.item()


def divergence(p, q):
    """Return the divergence of Bernoulli codes, summed over bits, averaged over images."""
    ratio = p * torch.log((p + 1e-8) / (q + 1e-8)) + (1 - p) * torch.log((1 - p + 1e-8) / (1 - q + 1e-8))
    return ratio.sum(1).mean()


def score(head, data, dataset):
    """Return the metrics of a head's codes."""
    with torch.inference_mode():
        codes = np.packbits(head(torch.from_numpy(data)).numpy() > 0, axis=1)
    split, labels = dataset.split, dataset.labels
    parts = (codes[split.query], codes[split.database], labels[split.query], labels[split.database])
    return {name: round(value, 5) for name, value in hashbench.evaluate(*parts, ["mAP@1000", "mAP@all"]).items()}


def main():
    """Print a JSON line per seed and epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--n-bits", type=int, default=32)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--score-every", type=int, default=20)
    options = parser.parse_args()
    dataset = hashbench.load_dataset("cifar10", data_dir=options.data_dir)
    backbone = open_backbone(dataset.backbone, image_size=SIZE)
    backbone.extract(torch.zeros(32, 3, SIZE, SIZE))
    images = dataset.images[dataset.split.train]
    heads = {}
    for seed in options.seeds:
        torch.manual_seed(seed)
        head = Sequential(Linear(1280, 1024), ReLU(), Linear(1024, options.n_bits))
        heads[seed] = head, torch.optim.Adam(head.parameters(), lr=0.001)
    torch.manual_seed(10_000 + options.seeds[0])
    for epoch in range(1, options.epochs + 1):
        started = time.perf_counter()
        features = epoch_features(images, backbone, options.workers)
        views_s = time.perf_counter() - started
        for seed, (head, adam) in heads.items():
            started = time.perf_counter()
            batches = torch.randperm(len(images)).split(BATCH)
            terms = [step(head, adam, features[batch, 0], features[batch, 1]) for batch in batches]
            contrastive, kl = np.mean(terms, axis=0).round(4).tolist()
            line = {"seed": seed, "epoch": epoch, "contrastive": contrastive, "kl": kl}
            line |= {"views_s": round(views_s, 2), "head_s": round(time.perf_counter() - started, 2)}
            if epoch % options.score_every == 0:
                data = ExtractedFeatures(dataset, backbone, cache_directory(None)).features().data
                line |= score(head, data, dataset)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
