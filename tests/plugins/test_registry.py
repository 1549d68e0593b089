"""Plugins are found by name in three places, and only what runs is imported."""

import subprocess
import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from hashbench.errors import InputError
from hashbench.files.source import code_of, counted, hash_source
from hashbench.plugins.registry import Registry

PLUGIN = '''"""A method of my own."""
import numpy as np
from hashbench import HashMethod


class Mine(HashMethod):
    def __init__(self, n_bits=32, *, scale=1.0, random_state=None):
        self.n_bits, self.scale, self.random_state = n_bits, scale, random_state

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.random_state)
        self.mean_, self.directions_ = X.mean(0), rng.standard_normal((X.shape[1], self.n_bits))
        return self

    def project(self, X):
        return (X - self.mean_) @ self.directions_
'''


def test_the_projects_folders_are_found():
    registry = Registry()
    assert {"cibhash", "itq", "lsh"} <= set(registry.names("methods"))
    assert {"cifar10", "digits"} <= set(registry.names("datasets"))
    assert registry.find("methods", "itq").summary == "Iterative quantization (ITQ)."
    assert registry.find("methods", "itq").load().name == "itq"


def test_a_plugin_file_is_found_and_runs(tmp_path, cli):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    plugin = Registry([file]).find("methods", "mine")
    assert plugin.summary == "A method of my own."
    assert plugin.load().name == "mine"
    done = cli("run", "--plugin", file, "--methods", "mine[scale=2]", "--bits", 8, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "mine[scale=2]" in done.stdout


def test_an_edited_plugin_is_imported_again_under_another_source_hash(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    before = Registry([file]).find("methods", "mine")
    assert before.load()().scale == 1.0
    hash_before = before.source_hash
    file.write_text(PLUGIN.replace("scale=1.0", "scale=2.0"))
    after = Registry([file]).find("methods", "mine")
    assert after.source_hash != hash_before
    assert after.load()().scale == 2.0


def test_two_files_of_one_name_are_two_plugins(tmp_path):
    loaded = []
    for folder, scale in (("a", "1.0"), ("b", "3.0")):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "mine.py"
        file.write_text(PLUGIN.replace("scale=1.0", f"scale={scale}"))
        loaded.append(Registry([file]).find("methods", "mine").load())
    assert [method_class().scale for method_class in loaded] == [1.0, 3.0]
    assert [method_class.name for method_class in loaded] == ["mine", "mine"]


@pytest.mark.parametrize(
    ("kind", "name", "files"),
    [
        ("methods", "lsh", ["linear.py"]),
        ("methods", "agh", ["anchor_graph.py", "linear.py"]),
        ("datasets", "digits", []),
        ("datasets", "vectors", ["neighbors.py", "array_formats.py", "parquet.py", "stored_array.py", "vectors.py"]),
    ],
)
def test_what_a_plugin_imports_of_learning_and_readers_counts(kind, name, files):
    assert [file.name for file in counted([Registry().find(kind, name).file])] == files


SOURCE = '''"""A plugin."""
from hashbench.method import HashMethod
from hashbench.errors import Unsupported as No

SCALE = 2


class Mine(HashMethod):
    def project(self, X):
        return X * SCALE, f"{SCALE:>{SCALE}} of {'one'}"
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A plugin."""', '"""Another text,\n\nlonger."""'),
        ('"""A plugin."""\n', ""),
        ("SCALE = 2", "# why\nSCALE = 2  # times"),
        ("SCALE = 2", 'SCALE = 2\n"""How much."""'),
        ("SCALE = 2", "\n\nSCALE  =  2"),
        ("    def project", '    """Says more."""\n\n    def project'),
        ("hashbench.method", "hashbench"),
        (
            "from hashbench.method import HashMethod\nfrom hashbench.errors import Unsupported as No",
            "from hashbench.here import (\n    HashMethod,\n    Unsupported as No,\n)",
        ),
        ("X * SCALE", "X   *  SCALE"),
    ],
)
def test_wording_and_layout_do_not_count(old, new, tmp_path):
    assert old in SOURCE
    assert code_of(SOURCE.replace(old, new)) == code_of(SOURCE)
    for name, text in (("a.py", SOURCE), ("b.py", SOURCE.replace(old, new))):
        (tmp_path / name).write_text(text)
    assert hash_source(tmp_path / "a.py") == hash_source(tmp_path / "b.py")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 2", "SCALE = 3"),
        ("X * SCALE", "X + SCALE"),
        ("Unsupported as No", "InputError as No"),
        ("        return", "        SCALE = 1\n        return"),
        ("of {'one'}", "of {'two'}"),
        ("of {'one'}", "of  {'one'}"),
    ],
)
def test_code_counts(old, new):
    assert old in SOURCE
    assert code_of(SOURCE.replace(old, new)) != code_of(SOURCE)


def test_where_a_file_lies_does_not_count(tmp_path):
    for folder, name in (("a", "helper.py"), ("b", "renamed.py")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(SOURCE)
        (tmp_path / folder / name).write_text("x = 1\n")
    assert hash_source(tmp_path / "a" / "__init__.py") == hash_source(tmp_path / "b" / "__init__.py")
    (tmp_path / "b" / "renamed.py").write_text("x = 2\n")
    assert hash_source(tmp_path / "a" / "__init__.py") != hash_source(tmp_path / "b" / "__init__.py")


def test_an_entry_point_is_found_without_being_loaded(monkeypatch):
    entry = EntryPoint("theirs", "package_that_is_not_there:Method", "hashbench.methods")
    monkeypatch.setattr(
        "hashbench.plugins.registry.importlib.metadata.entry_points",
        lambda group: EntryPoints([entry] if group == "hashbench.methods" else []),
    )
    plugin = Registry().find("methods", "theirs")
    with pytest.raises(InputError, match=r"'theirs'.*cannot be imported: ModuleNotFoundError"):
        plugin.load()


def test_two_plugins_of_one_name_are_an_error_that_names_both_places(tmp_path):
    file = tmp_path / "itq.py"
    file.write_text(PLUGIN)
    with pytest.raises(InputError, match=r"named 'itq'.*methods/itq\.py and .*/itq\.py"):
        Registry([file]).names("methods")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match=r"unknown method 'iqt'; did you mean 'itq'\?"):
        Registry().find("methods", "iqt")
    with pytest.raises(InputError, match="unknown dataset 'zzz'; known: cifar10"):
        Registry().find("datasets", "zzz")


BROKEN = {
    "missing": ("import nothing_of_that_name", "ModuleNotFoundError"),
    "raising": ("raise RuntimeError('broken on purpose')", "broken on purpose"),
    "empty": ('"""No class."""', "must define one HashMethod subclass, found none"),
    "leaving": ("import os; os._exit(3)", "exit code 3"),
}


def test_list_check_reports_broken_plugins(tmp_path, cli):
    options = []
    for name, (source, _) in BROKEN.items():
        (tmp_path / f"{name}.py").write_text(source)
        options += ["--plugin", tmp_path / f"{name}.py"]
    done = cli("list", "--check", *options)
    assert done.returncode == 1
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("  ")}
    for name, (_, reason) in BROKEN.items():
        assert "BROKEN" in lines[name]
        assert reason in lines[name]
    assert "[ok]" in lines["lsh"]


def test_a_plugin_with_a_syntax_error_is_refused_in_one_line(tmp_path, cli):
    from conftest import one_clear_line

    file = tmp_path / "mine.py"
    file.write_text("class (")
    one_clear_line(cli("list", "--plugin", file), str(file), "not readable Python")
    one_clear_line(cli("list", "--plugin", tmp_path / "gone.py"), "gone.py", "no such file")


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["run", "--help"]])
def test_help_and_list_do_not_import_torch(arguments):
    code = (
        "import sys; sys.argv = ['hashbench', *sys.argv[1:]]\n"
        "from hashbench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'sklearn', 'numba', 'timm', 'pandas'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def test_importing_hashbench_is_light():
    code = "import sys, hashbench; assert not {'torch', 'numpy', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
