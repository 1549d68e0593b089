"""The command line's own behaviour: help, versions, repeated options, odd terminals, interruptions."""

import os
import subprocess
import sys

import pytest
from conftest import one_clear_line


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
        (["run", "--precision", "double"], ["--precision double: expected one of auto, bf16"]),
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


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_terminals_that_know_few_letters(encoding, tmp_path):
    done = hashbench(
        "run", "--methods", "lsh", "--bits", 8, "--seeds", "0,1", "--out", tmp_path, PYTHONIOENCODING=encoding
    )
    assert done.returncode == 0, done.stderr
    assert b"mAP@all" in done.stdout
    assert hashbench("info", "nuswide", PYTHONIOENCODING=encoding).returncode == 0


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
        "for arguments in (['--help'], ['run', '--help'], ['list']):\n"
        "    app(arguments, standalone_mode=False)\n"
        "heavy = {'torch', 'pandas', 'numba', 'scipy', 'sklearn', 'matplotlib', 'timm'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
