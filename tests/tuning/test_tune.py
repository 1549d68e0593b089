"""Tuning on the digits: what it finds, what it keeps, what it refuses, and what trials may see."""

import json
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest
from conftest import one_clear_line
from tuned_plugins import FAILING, FAILING_EPOCHS, NUMBERED, PLANTED, SLOW_PLANTED, SPY

import hashbench
from hashbench import InputError
from hashbench.records.store import Store
from hashbench.reports.leaderboards.csv_files import parse, read_bytes
from hashbench.reports.page.figures.all_figures import figures_of
from hashbench.reports.page.from_run import settings_of_run
from hashbench.results.setting import by_setting

TRIALS = 16
BEST = 0.01


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    sources = {"planted": PLANTED, "slow_planted": SLOW_PLANTED, "spy": SPY, "numbered": NUMBERED}
    sources |= {"failing": FAILING, "failing_epochs": FAILING_EPOCHS}
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    return {name: folder / f"{name}.py" for name in sources}


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, cli, plugins):
    """Return the directory of a tuning of three methods, one of which always fails, and how it ended."""
    out = tmp_path_factory.mktemp("tuned")
    named = [word for name in ("planted", "failing") for word in ("--plugin", plugins[name])]
    arguments = ("--methods", "planted,lsh,failing", *named, "--trials", TRIALS, "--bits", 16, "--seeds", "0,1,2")
    return out, cli("tune", *arguments, "--out", out)


def trials_of(directory):
    frame = pd.read_csv(directory / "trials.csv")
    return frame.drop(columns="seconds")


def test_a_known_optimum_is_found(tuned):
    out, done = tuned
    row = pd.read_csv(out / "tuned.csv").set_index("method").loc["planted"]
    chosen = json.loads(trials_of(out).query("method == 'planted'").loc[int(row["trial"]), "params"])
    assert chosen["kind"] == "clean"
    assert abs(np.log10(chosen["lr"] / BEST)) < 0.5
    assert row["trials"] == TRIALS
    assert row["gain"] > 0.1
    assert row["gain_verdict"] == "separable"
    assert f"planted 16 bits: {row['chosen']}" in done.stdout.replace("\n", " ")


def test_trials_are_recorded_with_the_best_so_far(tuned):
    out, _ = tuned
    frame = trials_of(out).query("method == 'planted'")
    assert frame["trial"].tolist() == list(range(TRIALS))
    assert (frame["best_so_far"] == frame["score"].cummax()).all()
    assert json.loads(frame["params"].iloc[0]) == {"lr": 1e-4, "kind": "noisy"}
    assert frame["id"].is_unique
    assert set(frame["id"]) <= {record.id for record in Store(out / "trials")}
    assert frame["recall@100"].between(0, 1).all()


def test_a_method_without_parameters_has_its_default_only(tuned):
    out, done = tuned
    assert "no parameters to tune, default only: lsh" in done.stderr
    assert (trials_of(out)["method"] == "lsh").sum() == 1


def test_a_method_whose_every_trial_fails_is_named_and_the_others_go_on(tuned):
    out, done = tuned
    assert done.returncode == 1
    assert "failing 16 bits: no trial has a score: RuntimeError: no luck" in done.stderr
    assert "failing 16 bits: no trial has a score" in done.stdout
    assert {record.config["method"] for record in Store(out)} == {"planted", "lsh"}


def test_records_say_how_parameters_were_chosen_and_boards_keep_them_apart(tuned, tmp_path, cli, plugins):
    out, _ = tuned
    settings = by_setting(Store(out))
    words = {setting.tuned: {record.label for record in records} for setting, records in settings.items()}
    how = f"{TRIALS} trials by mAP@100 on digits/1[validation=0.2]"
    assert words.keys() == {"", how}
    assert words[""] == {"planted", "lsh"}
    assert len(words[how]) == 2
    assert "lsh" in words[how]
    done = cli("publish", out, "--to", tmp_path, "--plugin", plugins["planted"])
    assert done.returncode == 0, done.stderr
    header, lines = parse(read_bytes(tmp_path / "digits.csv"))
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    assert sorted((row["method"].partition("[")[0], row["tuned"]) for row in rows) == [
        ("lsh", ""),
        ("lsh", how),
        ("planted", ""),
        ("planted", how),
    ]
    assert all(row["mAP@100 verdict"] for row in rows)
    assert cli("validate", tmp_path / "digits.csv").returncode == 0
    assert cli("publish", out, "--to", tmp_path, "--plugin", plugins["planted"]).returncode == 0


def test_the_default_is_scored_as_in_an_ordinary_run(tuned, tmp_path, cli, plugins):
    out, _ = tuned
    for protocol, seeds, where in (("digits/1[validation=0.2]", "0", out / "trials"), ("digits/1", "0,1,2", out)):
        other = tmp_path / protocol.partition("[")[2]
        arguments = ("--methods", "planted,lsh", "--plugin", plugins["planted"], "--bits", 16, "--seeds", seeds)
        assert cli("run", *arguments, "--protocol", protocol, "--out", other).returncode == 0
        here = {record.id: record for record in Store(where)}
        for record in Store(other):
            assert here[record.id].codes_sha256 == record.codes_sha256
            assert {name: here[record.id].metrics[name] for name in record.metrics} == record.metrics


def test_the_toml_repeats_the_chosen_configurations(tuned, tmp_path, cli):
    out, _ = tuned
    assert tomllib.loads((out / "tuned.toml").read_text())["bits"] == [16]
    done = cli("run", out / "tuned.toml", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    chosen = {record.title: record for record in Store(out) if "tuned" in record.config}
    again = {record.title: record for record in Store(tmp_path)}
    assert again.keys() == chosen.keys()
    assert all(again[title].metrics == chosen[title].metrics for title in again)


def test_chosen_parameters_can_be_compared_with_the_default(tuned):
    out, _ = tuned
    row = pd.read_csv(out / "tuned.csv").set_index("method").loc["planted"]
    frame = hashbench.compare(out, methods=["planted", row["chosen"]], metrics="mAP@100")
    (difference,) = frame["difference"]
    assert difference == pytest.approx(row["gain"])


def tune(directory, plugins, methods="planted", **options):
    used = [plugins[name] for name in plugins if name in methods or name == options.get("dataset")]
    options = {"bits": 16, "trials": 6, "in_process": True, "plugins": used, **options}
    return hashbench.tune(methods=methods, out=directory, **options)


def test_the_same_seed_gives_the_same_trials_whatever_else_is_tuned(tmp_path, plugins, tuned):
    tune(tmp_path / "again", plugins, "planted", trials=TRIALS)
    pd.testing.assert_frame_equal(
        trials_of(tmp_path / "again"), trials_of(tuned[0]).query("method == 'planted'"), check_dtype=False
    )
    tune(tmp_path / "other", plugins, "planted", trials=6, random_state=1)
    assert set(trials_of(tmp_path / "other")["id"]) != set(trials_of(tmp_path / "again")["id"][:6])


def test_trials_that_are_there_are_not_computed_again(tmp_path, plugins):
    tune(tmp_path, plugins, trials=6)
    before = trials_of(tmp_path)
    for name in before["id"][3:]:
        Store(tmp_path / "trials").remove(name)
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "trials" / "records").glob("*.json")}
    tune(tmp_path, plugins, trials=6)
    pd.testing.assert_frame_equal(trials_of(tmp_path), before)
    assert len(stamps) == 3
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_no_trial_sees_a_test_query(tmp_path, plugins, monkeypatch):
    monkeypatch.setattr("hashbench.tuning.tune.run_chosen", lambda options, plan, studies, log: [])
    tune(tmp_path, plugins, "spy", dataset="numbered", bits=8)
    (seen,) = (
        module.SEEN for module in list(sys.modules.values()) if getattr(module, "SEEN", None) and "Spy" in vars(module)
    )
    assert len(trials_of(tmp_path)) == 6
    assert seen["rows"] - {0} == set(range(1040, 1200))  # blocks are filled up with rows of zeros
    assert seen["labels"] == {0, 1, 2, 3}
    for kept in (tmp_path / "trials" / "labels").iterdir():
        arrays = np.load(kept)
        assert len(arrays["query"]) == 32
        assert len(arrays["database"]) == 128
        assert set(arrays["query"]) == set(arrays["database"]) == {0, 1, 2, 3}


def test_neighbours_choose_without_labels(tmp_path, plugins):
    frame = tune(tmp_path, plugins, "planted", criterion="neighbours")
    (row,) = frame.to_dict("records")
    assert row["validation_metric"] == "recall@100"
    assert row["metric"] == "mAP@100"
    assert row["label_free_spearman"] > 0.8
    assert row["label_free_regret"] >= 0
    words = {record.tuned for record in Store(tmp_path)}
    assert words == {"", "6 trials by recall@100 on digits/1[validation=0.2], without labels"}
    trials = trials_of(tmp_path)
    assert (trials["score"] == trials["recall@100"]).all()


def test_parameters_in_a_label_are_fixed_and_all_of_a_choice_are_tried(tmp_path, plugins):
    tune(tmp_path, plugins, "planted[lr=0.01]", trials=50)
    trials = trials_of(tmp_path)
    assert trials["params"].tolist() == ['{"kind": "noisy"}', '{"kind": "clean"}']


def test_several_code_lengths_have_a_file_each(tmp_path, plugins):
    frame = tune(tmp_path, plugins, "planted", bits="8,16", trials=3)
    assert frame["bits"].tolist() == [8, 16]
    for n_bits in (8, 16):
        config = tomllib.loads((tmp_path / f"tuned-{n_bits}bits.toml").read_text())
        assert config["bits"] == [n_bits]


def test_time_is_a_budget(tmp_path, plugins):
    frame = tune(tmp_path, plugins, "planted", seconds=0.001)
    assert frame["trials"].tolist() == [1]
    assert len(trials_of(tmp_path)) == 1


def test_training_steps_are_a_budget(tmp_path, plugins):
    frame = tune(tmp_path, plugins, "slow_planted,lsh", trials=None, steps=20)
    assert frame.set_index("method")["steps"].to_dict() == {"slow_planted": 24, "lsh": 0}
    assert trials_of(tmp_path)["steps"].tolist() == [8, 8, 8, 0]
    assert "trials in 20 training steps by mAP@100 on digits/1[validation=0.2]" in {
        each.tuned for each in Store(tmp_path)
    }


def test_a_method_without_steps_has_a_number_of_trials(tmp_path, plugins):
    frame = tune(tmp_path, plugins, "planted", trials=None, steps=1)
    assert frame["trials"].tolist() == [20]


def test_trials_that_fail_use_up_steps(tmp_path, plugins):
    with pytest.raises(InputError, match="no luck"):
        tune(tmp_path, plugins, "failing_epochs", trials=None, steps=25)
    assert trials_of(tmp_path)["steps"].tolist() == [10, 10, 10]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, ["--steps 0", "at least 1"]),
        ({"trials": 0}, ["--trials 0", "at least 1"]),
        ({"seconds": 0.0}, ["--seconds 0", "at least"]),
        ({"validation": 1.0}, ["--validation 1", "below 1"]),
        ({"validation": 0.001}, ["validation=0.001", "no query"]),
        ({"validation": 0.0066}, ["classes without a query", "give at least"]),
        ({"metric": "nDCG@7"}, ["--metric nDCG@7", "no such metric", "mAP@100"]),
        ({"metric": "mAP@100", "criterion": "neighbours"}, ["--metric mAP@100", "recall"]),
        ({"metric": "recall@9999", "criterion": "neighbours"}, ["1,202 items"]),
        ({"criterion": "luck"}, ["--criterion luck", "labels, neighbours"]),
        ({"protocol": "digits/1[validation=0.3]"}, ["--protocol", "--validation"]),
        ({"protocol": "nothing/1"}, ["--protocol nothing/1", "digits/1"]),
        ({"dataset": "digits,cifar10"}, ["--dataset", "one at a time"]),
        ({"distance": "hamming,asymmetric"}, ["--distance", "one at a time"]),
        ({"methods": "cibhash[select=validation]"}, ["cibhash[select=validation]", "test"]),
        ({"methods": "ksh", "criterion": "neighbours"}, ["ksh reads labels"]),
        ({"methods": "nothing"}, ["unknown method"]),
        ({"methods": "failing"}, ["no trial has a score", "no luck"]),
    ],
)
def test_bad_input_is_one_line(tmp_path, plugins, options, words):
    options = {"methods": "planted", **options}
    with pytest.raises(InputError) as error:
        tune(tmp_path, plugins, options.pop("methods"), **options)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "space", ['{"lr": [1.0]}', '{"lr": []}', '{"lr": "all"}', '{"size": (1, 2)}', '{"lr": (2.0, 3.0)}']
)
def test_a_malformed_space_is_one_line(tmp_path, cli, space):
    (tmp_path / "odd.py").write_text(
        "from hashbench import HashMethod\n"
        "class Odd(HashMethod):\n"
        f"    search = {space}\n"
        "    def __init__(self, n_bits=32, *, lr=1.0):\n"
        "        self.n_bits, self.lr = n_bits, lr\n"
        "    def fit(self, X): return self\n"
        "    def project(self, X): return X[:, : self.n_bits]\n"
    )
    done = cli("tune", "--methods", "odd", "--plugin", tmp_path / "odd.py", "--out", tmp_path / "out")
    one_clear_line(done, "odd", "search")
    assert not (tmp_path / "out").exists()


def test_without_optuna_there_is_one_line(tmp_path, plugins, monkeypatch, cli):
    monkeypatch.setitem(sys.modules, "optuna", None)
    done = cli("tune", "--methods", "lsh", "--out", tmp_path / "out")
    one_clear_line(done, "Optuna", "hashbench[tune]")


def test_the_report_draws_the_best_so_far(tuned):
    out, _ = tuned
    settings = settings_of_run(out)
    figures = [[one for one in of if one.panel == "tuning"] for of in figures_of(settings, codes=False)]
    assert [len(of) for of in figures] == [0, 1]
    (figure,) = figures[1]
    assert figure.bits == 16
    planted = figure.data[figure.data["name"].str.startswith("planted")]
    assert planted["x"].tolist() == list(range(1, TRIALS + 1))
    assert planted["y"].tolist() == trials_of(out).query("method == 'planted'")["best_so_far"].tolist()
    assert set(figure.data["name"]) == set(settings[1].labels)


def test_hopeless_trials_are_stopped_after_a_short_training(tmp_path, plugins):
    frame = tune(tmp_path, plugins, "slow_planted", trials=TRIALS, prune=True)
    (row,) = frame.to_dict("records")
    trials = trials_of(tmp_path)
    pruned = trials[trials["status"] == "pruned"]
    assert 2 <= len(pruned) == row["pruned_trials"] < TRIALS
    assert pruned["score"].isna().all()
    assert row["failed_trials"] == 0
    records = {record.id: record for record in Store(tmp_path / "trials")}
    assert {records[id].config["params"]["epochs"] for id in pruned["id"]} == {2}
    assert {records[id].config["params"]["epochs"] for id in set(trials["id"]) - set(pruned["id"])} == {8}
    assert len(records) == TRIALS + TRIALS - len(pruned)
    best = max(pruned["mAP@100"])
    assert best < trials["score"].max()
    assert ", bad ones stopped early, by" in "".join(record.tuned for record in Store(tmp_path))
