"""Every data set of the project passes the conformance suite; a deliberately broken one fails each check."""

import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from broken_datasets import BROKEN, DrawsFromGlobalState, LeavesErrorsRaised
from broken_protocols import Unattributed
from conftest import one_clear_line
from good_datasets import ForOthers, Good, TrainsApart
from PIL import Image

from hashbench import Protocol
from hashbench.checks import check_dataset, parametrize_with_checks
from hashbench.checks.check import Skipped
from hashbench.checks.dataset_contents import check_loads, check_splits
from hashbench.checks.dataset_trial import Trial
from hashbench.checks.process import check_global_random_state_is_left_alone, check_process_is_left_alone
from hashbench.checks.suite import checks_of, outcomes
from hashbench.plugins.registry import Registry

DATASETS = [Registry().find("datasets", name).load() for name in Registry().names("datasets")]
N_CHECKS = len(checks_of("datasets"))


@parametrize_with_checks(DATASETS)
def test_conformance(trial, check):
    check(trial)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    np.save(folder / "rows.npy", np.random.default_rng(0).standard_normal((40, 3), dtype=np.float32))
    return folder


def test_twenty_lines_are_enough(rows):
    check_dataset(Good, rows)


def test_official_data_need_not_state_its_split(rows):
    class Official(Good):
        """Has the publisher's files, and a protocol without a split_checksum."""

        def read(self, options):
            return replace(super().read(options), provenance="official")

    trial = Trial(Official, rows)
    assert [dataset.provenance for dataset in trial.loaded] == ["official"]
    check_loads(trial)


@pytest.mark.parametrize("sound", [ForOthers, TrainsApart])
def test_what_only_looks_broken_passes(sound, rows):
    check_dataset(sound, rows)


@pytest.mark.parametrize(("broken", "name", "reason"), BROKEN, ids=[f"{row[0].__name__}-{row[1]}" for row in BROKEN])
def test_a_broken_data_set_fails_its_check(broken, name, reason, rows, tmp_path):
    np.save(tmp_path / "rows.npy", np.load(rows / "rows.npy"))
    failed = {outcome.name: outcome.reason for outcome in outcomes(broken, tmp_path) if outcome.failed}
    assert name in failed, failed
    assert reason in failed[name]


def test_every_check_is_failed_by_some_broken_data_set():
    assert {check.__name__ for check in checks_of("datasets")} == {name for _, name, _ in BROKEN}


def test_check_dataset_names_all_failures(rows):
    with pytest.raises(AssertionError, match=r"check_facts: source is empty"):
        check_dataset(Unattributed, rows)


def test_without_its_files_the_facts_are_checked_and_the_data_is_not():
    ended = {outcome.name: outcome for outcome in outcomes(Good)}
    assert not any(outcome.failed for outcome in ended.values())
    assert ended["check_protocol_checksums"].reason == ""
    assert ended["check_loads"].how == "skipped"
    assert ended["check_splits"].how == "skipped"
    assert "good needs its rows" in ended["check_loads"].reason
    with pytest.raises(Skipped):
        check_splits(Trial(Good))
    check_dataset(Good)


def test_prepared_data_is_split_under_watch_though_its_files_are_gone(rows, tmp_path):
    for plugin_class in (Good, DrawsFromGlobalState):
        assert Trial(plugin_class, rows, tmp_path).load()
        with pytest.raises(Skipped if plugin_class is Good else AssertionError):
            check_global_random_state_is_left_alone(Trial(plugin_class, cache_dir=tmp_path))


def test_what_changes_a_process_is_put_back(rows):
    before = np.geterr()
    with pytest.raises(AssertionError, match="numpy's error state"):
        check_process_is_left_alone(Trial(LeavesErrorsRaised, rows))
    assert np.geterr() == before


PLUGIN = '''"""Mine."""
import numpy as np
from hashbench import HashDataset, Items, Protocol, Split


class Mine(HashDataset):
    """Mine."""

    protocols = (Protocol("mine/1", "half of the rows are queries", 10, 10, 10, ("mAP@all",)),)
    source = licence = "mine"

    def read(self, options):
        return Items(features=np.eye(20, dtype=np.float32), labels=np.arange(20) % 2, provenance="mine")

    def split(self, items, protocol):
        return Split(np.arange(10), np.arange(10, 20), np.arange(10))
'''


def test_the_command(cli, tmp_path, rows):
    done = cli("check", "digits")
    assert done.returncode == 0
    assert done.stdout.count("  ok") == N_CHECKS - 1
    assert "  skipped  check_missing_files  it needs no files\n" in done.stdout
    mine = tmp_path / "mine.py"
    mine.write_text(PLUGIN)
    done = cli("check", "mine", "--plugin", mine)
    assert done.returncode == 1
    assert "FAILED   check_protocol_checksums  mine/1 has no checksum" in done.stdout
    assert done.stdout.count("  ok") == N_CHECKS - 2
    done = cli("check", "mine", "lsh", "--plugin", mine, "--data-dir", rows)
    one_clear_line(done, "--data-dir", "name that one data set")
    one_clear_line(cli("check", "lsh", "--data-dir", rows), "--data-dir")
    one_clear_line(cli("check", "digitz"), "digitz")


@pytest.mark.parametrize("method", ["read", "split"])
def test_a_data_set_that_would_end_the_program_fails_its_checks(cli, tmp_path, method):
    leaving = tmp_path / "leaving.py"
    head = f"    def {method}("
    leaving.write_text(re.sub(rf"({re.escape(head)}.*\n)", r"\1        raise SystemExit(0)\n", PLUGIN))
    done = cli("check", "leaving", "--plugin", leaving)
    assert done.returncode == 1
    assert "FAILED   check_loads" in done.stdout
    assert "SystemExit: 0" in done.stdout
    leaving.write_text(PLUGIN + "\nraise SystemExit(0)\n")
    done = cli("check", "leaving", "--plugin", leaving)
    assert done.returncode == 1
    assert f"FAILED   import  dataset 'leaving' ({leaving}) cannot be imported: SystemExit: 0" in done.stdout


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("np.arange(10), np.arange(10, 20), np.arange(20)", "10 queries are in the database part, as row 10"),
        ("np.arange(20), np.arange(10, 20), np.arange(10)", "10 queries are in the train part, as row 10"),
        ("np.arange(10), np.arange(10, 20), np.zeros(10, int)", "the database part names a row twice, as row 0"),
        ("np.arange(10), np.arange(11, 21), np.arange(10)", "the query part names row 20 of 20"),
        ("np.arange(10) - 1, np.arange(10, 20), np.arange(10)", "the train part names row -1 of 20"),
    ],
)
def test_a_run_refuses_an_unsound_split(cli, tmp_path, split, message):
    mine = tmp_path / "mine.py"
    source = PLUGIN.replace("10, 10, 10, (", "None, None, None, (")
    mine.write_text(source.replace("np.arange(10), np.arange(10, 20), np.arange(10)", split))
    done = cli("run", "--plugin", mine, "--dataset", "mine", "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(done, f"mine: mine/1: {message}")


def test_the_command_skips_what_is_not_there(cli, tmp_path):
    wanting = tmp_path / "wanting.py"
    source = PLUGIN.replace("import HashDataset", "import HashDataset, InputError")
    source = source.replace(
        "        return Items(", "        raise InputError('wanting needs its rows')\n        return Items("
    )
    checksum = Protocol("mine/1", "half of the rows are queries", 10, 10, 10, ("mAP@all",)).hash
    source = source.replace('("mAP@all",)', f'("mAP@all",), checksum="{checksum}"')
    wanting.write_text(source.replace('licence = "mine"', 'licence = needs = "--data-dir DIR"'))
    done = cli("check", "wanting", "--plugin", wanting)
    assert done.returncode == 0, done.stdout
    assert "ok       check_protocol_checksums" in done.stdout
    assert "skipped  check_loads  wanting needs its rows" in done.stdout
    assert "skipped  check_splits  check_loads was skipped" in done.stdout
    (tmp_path / "empty").mkdir()
    done = cli("check", "wanting", "--plugin", wanting, "--data-dir", tmp_path / "empty")
    assert done.returncode == 1
    assert "FAILED   check_loads  InputError" in done.stdout
    assert "skipped  check_splits  check_loads failed" in done.stdout


CIFAR10_SIZES = {f"data_batch_{number}": 10_000 for number in range(1, 6)} | {"test_batch": 10_000}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder", "key", "n_classes", "sizes"),
    [
        ("cifar10", "cifar-10-batches-py", "labels", 10, CIFAR10_SIZES),
        ("cifar100", "cifar-100-python", "fine_labels", 100, {"train": 50_000, "test": 10_000}),
    ],
)
def test_cifar_at_full_size(tmp_path, name, folder, key, n_classes, sizes):
    (tmp_path / folder).mkdir()
    for batch, n in sizes.items():
        labels = np.random.default_rng(n).permutation(np.arange(n) % n_classes).tolist()
        with (tmp_path / folder / batch).open("wb") as file:
            pickle.dump({"data": np.zeros((n, 3072), np.uint8), key: labels}, file, 4)
    check_dataset(Registry().find("datasets", name).load(), tmp_path)


@pytest.mark.parametrize("form", ["folder", "classes.csv", "labels.csv"])
def test_images_of_the_user(tmp_path, form):
    names = [f"{'ant' if row < 50 else 'bee'}/{row:02}.png" for row in range(100)]
    for row, name in enumerate(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), row, np.uint8)).save(tmp_path / name)
    lines = [
        f"{name},{name[:3]}{'|summer' if form == 'labels.csv' and row % 2 else ''}" for row, name in enumerate(names)
    ]
    if form != "folder":
        (tmp_path / form).write_text("\n".join(["path,label", *lines]))
    source = tmp_path if form == "folder" else tmp_path / form
    check_dataset(Registry().find("datasets", "folder").load(), source)


def python_blocks(name):
    text = (Path(__file__).resolve().parents[2] / "docs" / name).read_text()
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_documentations_example_is_checked_and_run(tmp_path, digits, cli, monkeypatch):
    plugin, own_test = python_blocks("add-a-dataset.md")
    (tmp_path / "textures.py").write_text(plugin)
    (tmp_path / "tests").mkdir()
    file = tmp_path / "tests" / "textures.npz"
    np.savez(file, images=np.repeat(digits.images, 3, axis=3), labels=digits.labels)
    done = cli("check", "textures", "--plugin", tmp_path / "textures.py", "--data-dir", file)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("  ok") == N_CHECKS, done.stdout
    options = ("--plugin", tmp_path / "textures.py", "--dataset", "textures", "--backbone", "pixels", "--bits", 8)
    done = cli("run", *options, "--data-dir", file, "--methods", "itq", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "textures/1" in done.stdout
    monkeypatch.chdir(tmp_path)
    scope = {"Textures": Registry([tmp_path / "textures.py"]).find("datasets", "textures").load()}
    exec(own_test, scope)
    (mark,) = scope["test_textures"].pytestmark
    assert len(mark.args[1]) == N_CHECKS
    for row in mark.args[1]:
        scope["test_textures"](*row.values)


def test_info_tells_sizes_images_and_needs(cli):
    told = cli("info", "fashion_mnist").stdout
    assert "sizes        10,000 queries, 60,000 database, 5,000 training\n" in told
    assert "backbone     tf_efficientnet_lite0 at 128 pixels\nviews        fashion-mnist/1\n" in told
    assert "sizes        as the data has it\n" in cli("info", "folder").stdout
    assert max(map(len, told.splitlines())) <= 100
