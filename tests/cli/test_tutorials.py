"""The tutorials are done as they stand: their Python is run or saved, and then every command of hashbench in them."""

import re
import shlex
from pathlib import Path

import pytest

from hashbench.records.store import Store

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks(page, language):
    """Return a page's blocks of code in a language."""
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text("utf-8"), re.DOTALL)


def commands(page):
    """Yield the words of each command of hashbench on a page."""
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            if line.startswith("hashbench "):
                yield shlex.split(line)[1:]


def expanded(word):
    """Return what a shell makes of a word with a star."""
    return list(map(str, Path().glob(word))) if "*" in word else [word]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def do(page, cli):
    outputs = {}
    for words in commands(page):
        done = cli(*(part for word in words for part in expanded(word)))
        assert done.returncode == 0, (words, done.stderr)
        outputs[words[0]] = done.stdout
    return outputs


@pytest.mark.slow
def test_from_install_to_a_published_row(cli):
    (method,) = blocks("tutorial.md", "python")
    Path("spun.py").write_text(method)
    outputs = do("tutorial.md", cli)
    assert "spun" in Path("boards/digits.csv").read_text()
    assert r"\toprule" in outputs["show"]
    assert "6 rows compared\n" in outputs["validate"]


def test_codes_that_exist(cli):
    make, use = blocks("codes.md", "python")
    names = {}
    exec(make, names)
    outputs = do("codes.md", cli)
    assert "mAP@r2" in outputs["score"]
    assert "1000,hits,numpy,dropped," in Path("audit.csv").read_text()
    exec(use, names)


@pytest.mark.slow
def test_a_metric(cli):
    plugin, use = blocks("add-a-metric.md", "python")
    Path("first_rank.py").write_text(plugin)
    outputs = do("add-a-metric.md", cli)
    assert "first@all (lower is better) on digits" in outputs["show"]
    assert "first@all (lower is better)" in outputs["compare"]
    assert outputs["check"].count("  ok") == 9
    scope = {}
    exec(plugin, scope)
    exec(use, scope)


@pytest.mark.slow
def test_own_embeddings(cli):
    make, use = blocks("own-embeddings.md", "python")
    exec(make, {})
    outputs = do("own-embeddings.md", cli)
    assert "recall10@100" in outputs["show"]
    exec(use, {})


def test_own_training_code(cli):
    train, score = blocks("own-training-code.md", "python")
    names = {}
    exported, *used, checked = commands("own-training-code.md")
    assert cli(*exported).returncode == 0
    exec(train, names)
    exec(score, names)
    assert 0.55 < names["evaluation"]["mAP@all"] < 0.65  # hashbench's ITQ has 0.61
    outputs = {words[0]: cli(*words) for words in used}
    assert not any(done.returncode for done in outputs.values()), outputs
    ours, theirs = (
        next(one for one in Store(Path("runs/digits")) if one.config["method"] == name) for name in ("itq", "my-itq")
    )
    assert (ours.codes_sha256, ours.metrics) == (theirs.codes_sha256, theirs.metrics)
    assert "3 rows compared" in outputs["validate"].stdout
    assert cli(*checked).stdout.startswith("300 queries (test.txt)")


@pytest.mark.slow
def test_the_engineers_use_what_they_have_trained(cli):
    pytest.importorskip("faiss")
    make, use = blocks("engineers.md", "python")
    exec(make, {})
    outputs = do("engineers.md", cli)
    assert "10 nearest of 1,697 by Euclidean distance among 10 times as many" in outputs["search"]
    assert Path("near.csv").read_text().count("\n") == 1 + 100 * 10
    names = {}
    exec(use, names)
    assert names["rows"].shape == (100, 10)
