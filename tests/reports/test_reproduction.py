"""The commands in leaderboards/README.md give the published numbers: for the classics on digits, at one length."""

import re
import shlex
from pathlib import Path

from boards import rows_of

from hashbench.reports.leaderboards.columns import metrics_in
from hashbench.reports.leaderboards.commands import commands
from hashbench.runs.requested.grid import split_names

BOARDS = Path(__file__).resolve().parents[2] / "leaderboards"
CLASSICS = {"agh", "dgh", "itq", "lsh", "pcah", "rr", "sh", "sign", "sph"}
"""Those whose codes are the same on every processor and with any number of threads."""
BITS = "16"


def commands_of(board):
    """Return the commands that README.md has for a board, as lists of words."""
    (block,) = re.findall(
        rf"^`{board}`:\n\n```sh\n(.*?)\n```", (BOARDS / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    return [shlex.split(line) for line in block.replace("\\\n", "").splitlines()]


def test_digits_classics_are_reproduced_exactly(tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    *runs, publish = commands_of("digits.csv")
    for words in runs:
        at = words.index("hashbench")
        named = dict(zip(words[at + 2 :: 2], words[at + 3 :: 2], strict=True))
        labels = [name for name in split_names(named["--methods"], "--methods") if name.partition("[")[0] in CLASSICS]
        if labels:
            named |= {"--methods": ",".join(labels), "--bits": BITS}
            done = cli("run", *(word for option in named.items() for word in option))
            assert done.returncode == 0, done.stderr
    done = cli(*publish[1:])
    assert done.returncode == 0, done.stderr
    ours = {row["method"]: row for row in rows_of(tmp_path / "reproduced" / "digits.csv")}
    theirs = {row["method"]: row for row in rows_of(BOARDS / "digits.csv") if row["n_bits"] == BITS}
    assert {name.partition("[")[0] for name in ours} == CLASSICS
    for method, row in ours.items():
        for metric in metrics_in(row):
            for name in (metric, f"{metric} std", f"{metric} low", f"{metric} high"):
                assert row[name] == theirs[method][name], (method, name)


def row(method, seeds="0 1", n_bits="16", protocol="toy/1", features="a"):
    what = {"method": method, "seeds": seeds, "n_bits": n_bits, "threads": "2", "origin": "", "tuned": ""}
    return {**what, "protocol": protocol, "features": features}


KEYS = {
    "a": {"backbone": "pixels", "image_size": None, "precision": "32-true"},
    "b": {"backbone": "vgg16", "image_size": 224, "precision": "bf16-mixed"},
    "c": {"backbone": None},
}


def test_methods_that_share_all_else_stand_in_one_command():
    rows = [row("x"), row("x", n_bits="8"), row("y[a='b c']"), row("y[a='b c']", n_bits="8"), row("z", "none")]
    rows.append(row("w") | {"origin": "imported"})  # whose codes no command of hashbench gives
    rows.append(row("v") | {"tuned": "mAP@all"})  # whose parameters a tuning has chosen
    first, second, last = commands("toy", rows, KEYS)
    words = "OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 hashbench run --dataset toy --protocol toy/1 --backbone pixels"
    words = [*words.split(), "--methods", "x,y[a='b c']", *["--bits", "8,16", "--seeds", "0,1", "--out", "runs/toy"]]
    assert shlex.split(first.replace("\\\n", "")) == words
    assert second.endswith("--bits 16 --seeds 0,1 --out runs/toy")
    assert last == "hashbench publish runs/toy --to reproduced"


def test_features_protocols_and_seeds_stand_in_the_options():
    lists = row("x", features="b", protocol="toy/1+lists:01234567")
    options = "--protocol toy/1 --splits DIR --backbone vgg16 --image-size 224 --precision bf16 \\"
    assert options in commands("toy", [lists], KEYS)[0]
    ranked = row("x", protocol="toy/1+lists:01234567+validation+asymmetric")
    first, second, _ = commands("toy", [ranked, row("x")], KEYS)
    assert "--protocol toy/1 --splits DIR --distance asymmetric --backbone pixels \\" in first
    assert "--protocol toy/1 --backbone pixels \\" in second
    (given, _) = commands("toy", [row("x", "none", features="c")], KEYS)
    assert "--protocol toy/1 \\\n" in given
    assert "--bits 16 --seeds 0 " in given
    assert len(commands("toy", [row("x", "")], KEYS)) == 1
