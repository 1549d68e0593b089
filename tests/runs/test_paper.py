"""docs/paper.toml: every method on the paper's data sets; planned as far as it can be without their files."""

from pathlib import Path

import pytest
from conftest import one_clear_line

from hashbench.plugins.registry import Registry
from hashbench.runs.requested.config import read_config
from hashbench.runs.requested.grid import parse_methods

ROOT = Path(__file__).resolve().parents[2]
PAPER = ROOT / "docs" / "paper.toml"


@pytest.fixture(scope="module")
def asked():
    if not PAPER.is_file():
        pytest.skip("needs a checkout")
    return read_config(PAPER)


def test_it_asks_for_every_method_without_labels_and_for_protocols_that_exist(asked):
    methods = {spec.name for spec in parse_methods(asked["methods"])}
    plugins = Registry().plugins("methods")
    assert methods == {name for name, plugin in plugins.items() if plugin.load().supervision == "unsupervised"}
    for setting in asked["datasets"]:
        protocols = Registry().find("datasets", setting.dataset).load().protocols
        assert setting.protocol in {protocol.name for protocol in protocols}


def test_a_dry_run_without_the_data_says_what_each_data_set_lacks(asked, empty_cache, tmp_path, cli):
    done = cli("run", PAPER, "--dry-run", "--out", tmp_path / "out")
    names = [setting.dataset for setting in asked["datasets"]]
    assert names == ["cifar10", "nuswide", "mscoco"]
    one_clear_line(done, *names, "is not here; what they lack is listed above")
    for name in names:
        (line,) = (line for line in done.stdout.splitlines() if line.startswith(f"{name} "))
        assert "jobs not planned" in line
        assert "--data-dir DIR" in line
    assert not (tmp_path / "out").exists()


def test_available_data_is_planned_next_to_missing_data(empty_cache, tmp_path, cli):
    run = ("run", "--bits", "8,16", "--seeds", "0,1", "--out", tmp_path / "out", "--dry-run", "--methods")
    done = cli(*run, "lsh,pcah", "--dataset", "digits,nuswide")
    one_clear_line(done, "nuswide")
    assert "6 jobs, 6 to run" in done.stdout
    assert "nuswide: 6 jobs not planned: nuswide needs its files" in done.stdout
    done = cli(*run, "lsh,pcah", "--dataset", "nuswide")  # alone, the reason is the one line
    one_clear_line(done, "nuswide needs its files: give --data-dir DIR")
    done = cli(*run, "lhs", "--dataset", "digits,nuswide")
    one_clear_line(done, "lhs")
    assert "not planned" not in done.stdout


def test_all_its_cells_can_be_planned_on_other_images(asked, photos_plugin, tmp_path, cli):
    arguments = ("--dataset", "photos", "--plugin", photos_plugin, "--backbone", "tf_efficientnet_lite0")
    done = cli("run", PAPER, *arguments, "--dry-run", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    lengths, seeds = (len(str(asked[key]).split(",")) for key in ("bits", "seeds"))
    specs = [spec.name for spec in parse_methods(asked["methods"])]
    unseeded = sum(name in ("pcah", "sh", "sign") for name in specs)
    assert f"{lengths * (seeds * (len(specs) - unseeded) + unseeded)} jobs" in done.stdout
    assert "cannot be made" not in done.stdout
