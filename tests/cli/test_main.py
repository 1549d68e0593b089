"""The command line's own behaviour: help, versions, repeated options, odd terminals, interruptions."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import one_clear_line

FULL = Path("/dev/full")


def hashbench(*arguments, **environment):
    command = [sys.executable, "-m", "hashbench", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, env={**os.environ, **environment}, cwd=environment.pop("PWD", None)
    )


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(flag, cli):
    done = cli(flag)
    assert done.returncode == 0
    assert "publish" in done.stdout
    for command in ("run", "list", "encode", "data"):
        shown = cli(command, flag)
        assert shown.returncode == 0
        assert "<class" not in shown.stdout


@pytest.mark.parametrize("arguments", [(), ("data",)])
def test_a_bare_command_shows_its_help(arguments):
    done = hashbench(*arguments)
    assert done.returncode == 0, done.stderr
    assert b"Usage" in done.stdout + done.stderr
    assert b"unexpected" not in done.stderr


def test_a_home_that_no_shell_has_seen(tmp_path, cli, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HASHBENCH_CACHE", "~/cache")
    done = cli("run", "--methods", "lsh", "--bits", 8, "--out=~/out")
    assert done.returncode == 0, done.stderr
    assert cli("show", "~/out").returncode == 0
    assert {"out", "cache"} <= {path.name for path in tmp_path.iterdir()}
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
def test_a_standard_output_that_is_full():
    with FULL.open("wb") as full:
        done = subprocess.run([sys.executable, "-m", "hashbench", "list"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    told = b"hashbench: standard output cannot be written (No space left on device); what was computed is kept\n"
    assert done.stderr == told


@pytest.mark.slow
def test_streams_that_are_closed(tmp_path):
    command = f"{sys.executable} -m hashbench run --methods lsh --bits 8 --out {tmp_path} <&- >&- 2>&-"
    assert subprocess.run(command, shell=True).returncode == 0
    assert len(list((tmp_path / "records").glob("*.json"))) == 1


def test_loops_that_are_not_to_be_compiled():
    done = hashbench("run", "--methods", "sign", "--bits", 8, NUMBA_DISABLE_JIT="1")
    assert done.returncode == 2
    assert done.stderr.startswith(b"hashbench: NUMBA_DISABLE_JIT is set")
    assert done.stderr.count(b"\n") == 1


def test_warnings_of_libraries_that_are_to_be_errors(tmp_path):
    code = "import warnings; warnings.warn('old', DeprecationWarning)"
    (tmp_path / "typer.py").write_text(code)
    done = hashbench("list", PYTHONWARNINGS="error", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert b"hashbench: a library warns (DeprecationWarning: old), and PYTHONWARNINGS" in done.stderr
    assert b"Traceback" not in done.stderr


def test_version(cli):
    done = cli("--version")
    assert (done.returncode, done.stdout.split()[0]) == (0, "hashbench")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["models"], ["No such command 'models'; see hashbench --help"]),
        (["run", "--methods", "itq", "--methods", "lsh"], ["--methods is given twice"]),
        (["run", "--methods", "itq", "--methods=lsh"], ["--methods is given twice"]),
        (["run", "--out", ""], ["--out is empty"]),
        (["run", "--out="], ["--out is empty"]),
        (["run", "--bits", "x"], ["--bits x"]),
        (["run", "--data-dir", "nowhere"], ["--data-dir nowhere", "digits brings its data along"]),
        (["run", "--splits", "nowhere"], ["--splits"]),
        (["run", "--dataset", "digits,iris"], ["iris"]),
        (["run", "--dataset", "digits,cifar10", "--data-dir", "x"], ["--data-dir is one data set's"]),
        (["run", "--image-size", "8"], ["--image-size"]),
        (["run", "--compile"], ["--compile"]),
        (["run", "--precision", "double"], ["--precision double: expected one of fp32, bf16"]),
    ],
)
def test_one_clear_line(arguments, words, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one_clear_line(cli(*arguments), *words)


def test_plugins_may_be_named_more_than_once(tmp_path, cli):
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(
            f"from hashbench import HashMethod\nclass {name.title()}(HashMethod):\n    '''Is {name}.'''\n"
        )
    done = cli("list", "--plugin", tmp_path / "one.py", "--plugin", tmp_path / "two.py")
    assert "one" in done.stdout
    assert "two" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminals_that_know_few_letters(encoding, tmp_path):
    done = hashbench(
        "run", "--methods", "lsh", "--bits", 8, "--seeds", "0,1", "--out", tmp_path, PYTHONIOENCODING=encoding
    )
    assert done.returncode == 0, done.stderr
    assert b"mAP@all" in done.stdout
    assert hashbench("info", "nuswide", PYTHONIOENCODING=encoding).returncode == 0


UNUSABLE_SPACE = """
from hashbench import HashMethod


class Mine(HashMethod):
    search = {"scale": (2.0, 3.0)}

    def __init__(self, n_bits=32, *, scale=1.0):
        self.n_bits = n_bits
        self.scale = scale
"""


def test_info_tells_the_search_space(cli, tmp_path):
    assert (
        "search space n_layers 1 or 2; n_anchors 150 to 1000 (log); n_neighbors 2 to 10\n" in cli("info", "agh").stdout
    )
    assert "search space none\n" in cli("info", "lsh").stdout
    (tmp_path / "mine.py").write_text(UNUSABLE_SPACE)
    told = " ".join(cli("info", "mine", "--plugin", tmp_path / "mine.py").stdout.split())
    assert "search space cannot be used: mine: search['scale'] = (2.0, 3.0): the default 1.0 is outside" in told


def test_a_working_directory_that_is_gone(tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os, sys; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); sys.argv = ['hashbench', 'run']\n"
    code += "from hashbench.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    one_clear_line(done, "working directory")


def test_help_and_lists_need_nothing_heavy():
    code = (
        "import sys; from hashbench.cli.main import app\n"
        "for arguments in (['--help'], ['run', '--help']):\n"
        "    app(arguments, standalone_mode=False)\n"
        "assert not {'filelock', 'msgspec', 'hashbench.plugins.registry'} & set(sys.modules)\n"
        "app(['list'], standalone_mode=False)\n"
        "heavy = {'torch', 'pandas', 'numba', 'scipy', 'sklearn', 'vl_convert', 'timm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
