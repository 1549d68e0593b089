"""Every command of the README is done as it stands; long runs are planned only (``--dry-run``)."""

import re
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from conftest import CIFAR_JPEG
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def commands():
    """Yield the words of each command of hashbench in the README."""
    text = (ROOT / "README.md").read_text("utf-8")
    for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("hashbench "):
                yield shlex.split(line, comments=True)[1:]


@pytest.fixture
def _what_the_readme_speaks_of(tmp_path, monkeypatch, cli):
    """Let a folder hold the files that the commands name."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    with h5py.File("my.hdf5", "w") as file:
        file["train"], file["test"] = rng.normal(size=(300, 32)), rng.normal(size=(20, 32))
    (method,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/add-a-method.md").read_text(), re.DOTALL)[:1]
    Path("my_method.py").write_text(method)
    Path("bench.toml").write_text('methods = "lsh"\nbits = [16]\n')
    shutil.copytree(ROOT / "leaderboards", "leaderboards")
    (Path("leaderboards") / "digits.csv").unlink()
    Path("docs").mkdir()
    shutil.copy(ROOT / "docs" / "paper.toml", "docs")
    pixels = rng.integers(0, 256, (120, 8, 8, 3), dtype=np.uint8)
    content = []
    for number, image in enumerate(pixels):
        path = Path("folder", "cat" if number % 2 else "dog", f"{number}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
        content.append({"bytes": path.read_bytes(), "path": path.name})
    Path("image_parquet").mkdir()
    pd.DataFrame({"image": content, "label": np.arange(120) % 2}).to_parquet("image_parquet/train.parquet")
    rows = [(f"{('fur', 'fin')[number % 2]} and tail", ("cat", "fish")[number % 2]) for number in range(40)]
    pd.DataFrame(rows, columns=["text", "label"]).to_csv("texts.csv", index=False)
    for out in ("runs/latest", "runs/a", "runs/b"):
        assert cli("run", "--methods", "lsh,itq", "--bits", "16", "--seeds", "0,1", "--out", out).returncode == 0
    for name, n in (("q", 300), ("d", 1497)):
        np.save(f"{name}.npy", rng.standard_normal((n, 16)))
    np.save("digits.npy", rng.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8))


IMPORTED = ["--about", "hash", "--training", "train", "--backbone", "pixels", "--no-labels-used"]


def as_done(words):
    """Return a command with what the README leaves to the reader; a run is planned only, unless models are kept."""
    if words[0] == "run" and "--save-models" not in words and "--dry-run" not in words:
        words = [*words, "--dry-run"]
    if "..." in words:
        at = words.index("...")
        said = ["--dataset", "cifar10"] if "--protocol" in words else IMPORTED if words[0] == "import" else []
        words = [*words[:at], *said, *words[at + 1 :]]
    dataset = words[words.index("--dataset") + 1] if "--dataset" in words else "nuswide"
    names = {"DIR": str(CIFAR_JPEG) if dataset == "cifar10" else dataset, "HOST:8786": "127.0.0.1:1"}
    filled = [names.get(word, word) for word in words]
    return [str(path) for word in filled for path in (Path().glob(word) if "*" in word else [word])]


@pytest.mark.slow
@pytest.mark.usefixtures("_what_the_readme_speaks_of")
def test_every_command_of_the_readme(cli):
    missing = ("nuswide", "fashion_mnist", "cifar10") if not CIFAR_JPEG.is_dir() else ("nuswide", "fashion_mnist")
    n_done = 0
    for words in commands():
        done = cli(*as_done(words))
        if done.returncode == 0:
            n_done += 1
            continue
        assert done.returncode == 2, (words, done.stderr)
        assert any(name in " ".join(words) for name in (*missing, "paper.toml")), (words, done.stderr)
        reason = done.stderr.splitlines()[-1]
        assert re.search("data-dir|is not here|no such|--download", reason), (words, reason)
    assert n_done >= 20
