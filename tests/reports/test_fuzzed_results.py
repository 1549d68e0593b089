"""Records, arrays and leaderboards with any damage at all: a result or one clear line, and no file elsewhere."""

import io
import json
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from boards import part_of
from conftest import one_clear_line
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from mutations import contents, json_texts

from hashbench.files.hashing import canonical_hash
from hashbench.records.store import Store
from hashbench.reports.leaderboards.publish import publish

SETTINGS = {"deadline": None, "suppress_health_check": list(HealthCheck)}
CHANGES = [
    None,
    lambda array: array[:0],
    lambda array: array[:-1],
    lambda array: array[None],
    lambda array: array.ravel()[0],
    lambda array: array.astype(str),
    lambda array: array.astype(float) * np.nan,
    lambda array: array.astype(complex),
    lambda array: array.astype(np.float16),
    lambda array: -array.astype(np.int64),
    lambda array: array != 0,
]
"""What becomes of an array; None takes it away."""
BOARD = re.compile(r"[\w-]+\.csv|(features|methods)\.json|\.leaderboards\.lock")


@pytest.fixture(scope="module")
def little(board_run, tmp_path_factory):
    """Return a folder with a run of three records, and their leaderboard."""
    home = tmp_path_factory.mktemp("little") / "home"
    store = part_of(board_run, home / "run", _is_one_of_three)
    kept = {record.id for record in store}
    for path in (home / "run" / "records").glob("*.npz"):
        if path.stem not in kept:
            path.unlink()
    publish([store], home / "boards")
    return home


def _is_one_of_three(record):
    return record.config["n_bits"] == 8 and record.label in ("lsh", "pcah") and record.config["seed"] in (None, 0, 1)


@st.composite
def damaged_records(draw, run):
    """Draw a file's path in a run and its damaged content: a record's JSON, its arrays, or the labels."""
    record = draw(st.sampled_from(list(Store(run))))
    path = run / "records" / f"{record.id}.json"
    match draw(st.sampled_from(["values", "values", "config", "bytes", "arrays", "labels"])):
        case "values":
            return path, draw(json_texts(json.loads(path.read_text()))).encode("utf-8", "surrogatepass")
        case "config":  # named by its hash, so that it is not refused for its name alone
            return _renamed(path, draw(json_texts(json.loads(path.read_text())["config"])))
        case "bytes":
            return path, draw(contents(path.read_bytes()))
        case "arrays":
            path = path.with_suffix(".npz")
        case "labels":
            path = next((run / "labels").iterdir())
    return path, draw(st.one_of(contents(path.read_bytes()), other_arrays(path)))


@st.composite
def other_arrays(draw, path):
    """Draw the content of a file of arrays that is whole, with arrays taken away, renamed, or of other form."""
    with np.load(path) as file:
        arrays = dict(file)
    for name in draw(st.lists(st.sampled_from(sorted(arrays)), min_size=1, max_size=2, unique=True)):
        array = arrays.pop(name)
        number = draw(st.integers(0, len(CHANGES) - 1))
        note(f"{path.name}: {name} is changed by CHANGES[{number}]")
        if CHANGES[number] is not None:
            arrays[draw(st.sampled_from([name, name, name, "other"]))] = CHANGES[number](array)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return Content(stream.getvalue())


class Content(bytes):
    """The content of a file, too long to be shown where a test fails."""

    def __repr__(self):
        return f"<{len(self)} bytes>"


def _renamed(path, text):
    record = json.loads(path.read_text())
    try:
        record["config"] = json.loads(text)
        record["id"] = canonical_hash(record["config"])
    except (ValueError, RecursionError):
        return path, text.encode("utf-8", "surrogatepass")
    return path.with_name(f"{record['id']}.json"), json.dumps(record).encode()


def _copied(little, folder):
    """Return a copy of the run and its leaderboard, deep enough in a folder for names that lead upwards."""
    home = Path(folder) / "a" / "home"
    shutil.copytree(little, home)
    return home


def _damage(little, home, path, content):
    path = home / path.relative_to(little)
    if path.suffix == ".json" and not path.exists():  # a record under its new name, with the arrays of another
        arrays = next(path.parent.glob("*.npz"))
        shutil.copy(arrays, path.with_suffix(".npz"))
    path.write_bytes(content)


def _check(done, home, *codes):
    assert done.returncode in codes, done.stderr
    assert "hashbench: unexpected" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    if done.returncode == 2:
        one_clear_line(done, str(home))
        assert len(done.stderr) < 3_000
    top = home.parents[1]
    assert [path.name for path in top.iterdir()] == ["a"]
    assert [path.name for path in home.parent.iterdir()] == ["home"]
    assert {path.name for path in home.iterdir()} <= {"run", "boards", "to"}
    for folder in (home / "boards", home / "to"):
        assert all(BOARD.fullmatch(path.name) for path in folder.glob("*") if path.suffix != ".png")


COMMANDS = {
    "publish": (["publish", "run", "--to", "boards"], 20),
    "publish anew": (["publish", "run", "--to", "to"], 10),
    "audit": (["audit", "run"], 8),
    "plot": (["plot", "run", "--to", "to"], 4),
    "run": (["run", "--in-process", "--methods", "lsh,pcah", "--bits", "8", "--seeds", "0,1", "--out", "run"], 10),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_damage_to_a_run_gives_anything_but_a_result_or_one_line(little, cli, command):
    arguments, n_examples = COMMANDS[command]

    @settings(max_examples=n_examples, **SETTINGS)
    @given(st.data())
    def check(data):
        damage = data.draw(damaged_records(little / "run"))
        with tempfile.TemporaryDirectory() as folder:
            home = _copied(little, folder)
            _damage(little, home, *damage)
            there = [home / one if one in ("run", "boards", "to") else one for one in arguments]
            done = cli(arguments[0], *there[1:])
            _check(done, home, 0, 2)
            assert cli("validate", home / "boards" / "digits.csv").returncode == 0

    check()


@settings(max_examples=40, **SETTINGS)
@given(st.data())
def test_no_damage_to_a_leaderboard_gives_anything_but_a_verdict_or_one_line(little, cli, data):
    path = data.draw(st.sampled_from(sorted((little / "boards").glob("[!.]*"))))
    content = path.read_bytes()
    if path.suffix == ".json" and data.draw(st.booleans()):
        content = data.draw(json_texts(json.loads(content))).encode("utf-8", "surrogatepass")
    else:
        content = data.draw(contents(content))
    with tempfile.TemporaryDirectory() as folder:
        home = _copied(little, folder)
        _damage(little, home, path, content)
        board = home / "boards" / "digits.csv"
        done = cli("validate", board, "--code")
        assert done.returncode in (0, 2), done.stderr
        assert "hashbench: unexpected" not in done.stderr
        assert str(board) in done.stdout
        before = {file.name: file.read_bytes() for file in (home / "boards").glob("[!.]*")}
        if data.draw(st.integers(0, 3)) == 0:
            is_valid = cli("validate", board).returncode == 0
            done = cli("publish", home / "run", "--to", home / "boards")
            _check(done, home, 0 if is_valid else 2)
            if not is_valid:
                assert {file.name: file.read_bytes() for file in (home / "boards").glob("[!.]*")} == before
