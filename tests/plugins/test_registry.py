"""Plugins are found by name in three places, and only what runs is imported."""

import pickle
import subprocess
import sys

import pytest
from plugin_source import PLUGIN

from hashbench.errors import InputError
from hashbench.files.paths import is_plugin_name, is_protocol_name
from hashbench.plugins import registry
from hashbench.plugins.registry import Registry


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


def test_an_edited_plugin_is_imported_again_under_another_source_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
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


def test_two_plugins_of_one_name_are_an_error_that_names_both_files(tmp_path):
    file = tmp_path / "itq.py"
    file.write_text(PLUGIN)
    with pytest.raises(InputError, match=r"named 'itq'.*methods/itq\.py and .*/itq\.py"):
        Registry([file]).names("methods")


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(InputError, match=r"unknown method 'iqt'; did you mean 'itq'\?"):
        Registry().find("methods", "iqt")
    with pytest.raises(InputError, match="unknown dataset 'zzz'; known: cifar10"):
        Registry().find("datasets", "zzz")


@pytest.mark.parametrize("name", ["ITQ", "Itq", "IQT"])
def test_the_nearest_name_is_suggested_in_any_case(cli, name):
    with pytest.raises(InputError, match=rf"unknown method '{name}'; did you mean 'itq'\?"):
        Registry().find("methods", name)
    assert "did you mean 'itq'?" in cli("info", name).stderr


def test_a_long_name_is_not_repeated_whole(cli):
    for done in (cli("check", "x" * 5000), cli("info", "x" * 5000)):
        assert done.returncode == 2
        assert f"{'x' * 59}…" in done.stderr
        assert "x" * 60 not in done.stderr


BROKEN = {
    "missing": ("import nothing_of_that_name", "ModuleNotFoundError"),
    "raising": ("raise RuntimeError('broken on purpose')", "broken on purpose"),
    "empty": ('"""No class."""', "must define one HashMethod subclass, found none"),
    "leaving": ("import os; os._exit(3)", "exit code 3"),
    "leaving_well": ("import os; os._exit(0)", "the process ended with exit code 0"),
    "exiting": ("raise SystemExit(0)", "cannot be imported: SystemExit: 0"),
    "interrupting": ("raise KeyboardInterrupt", "cannot be imported: KeyboardInterrupt"),
    "closing": ("raise GeneratorExit", "cannot be imported: GeneratorExit"),
    "wordless": ("raise BaseException", "cannot be imported: BaseException"),
    "hanging": ("import time; time.sleep(3600)", "its import was stopped after 8 s"),
}


@pytest.mark.slow
def test_list_check_reports_broken_plugins(tmp_path, cli, monkeypatch):
    of_the_project = registry._project_plugins
    light = {"lsh", "digits"}  # the other plugins import torch, each in a process of its own
    monkeypatch.setattr(registry, "_project_plugins", lambda kind: (p for p in of_the_project(kind) if p.name in light))
    monkeypatch.setattr(registry, "IMPORT_LIMIT_S", 8.0)
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


def test_a_plugin_file_can_be_pickled(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    method = Registry([file]).find("methods", "mine").load()(n_bits=8)
    assert pickle.loads(pickle.dumps(method)).n_bits == 8


FOLDER = {
    "__init__.py": PLUGIN.replace("import numpy as np", "import numpy as np\nfrom .helper import FACTOR"),
    "helper.py": "FACTOR = 3\n",
}


def test_a_folder_is_a_plugin(tmp_path, cli, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "mine").mkdir()
    for name, source in FOLDER.items():
        (tmp_path / "mine" / name).write_text(source)
    for path in (tmp_path / "mine", tmp_path / "mine" / "__init__.py"):
        plugin = Registry([path]).find("methods", "mine")
        assert plugin.load().name == "mine"
        assert pickle.loads(pickle.dumps(plugin.load()(n_bits=8))).n_bits == 8
    done = cli("list", "--plugin", tmp_path / "mine", "--plugin", tmp_path / "mine" / "__init__.py")
    assert done.stdout.count("A method of my own.") == 1
    hash_before = Registry([tmp_path / "mine"]).find("methods", "mine").source_hash
    (tmp_path / "mine" / "helper.py").write_text("FACTOR = 4\n")
    after = Registry([tmp_path / "mine"]).find("methods", "mine")
    assert sys.modules[after.load().__module__].FACTOR == 4
    assert after.source_hash != hash_before


def test_a_file_that_is_named_twice_counts_once(tmp_path, cli, monkeypatch):
    (tmp_path / "mine.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    done = cli("list", "--plugin", "mine.py", "--plugin", tmp_path / "mine.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("A method of my own.") == 1


def test_two_files_of_one_name_are_refused(tmp_path, cli):
    from conftest import one_clear_line

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.py").write_text(PLUGIN)
    files = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    done = cli("list", "--plugin", files[0], "--plugin", files[1])
    one_clear_line(done, f"two methods are named 'mine': {files[0]} and {files[1]}; rename one")


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("notes.txt", PLUGIN, "expected a .py file, or a folder with __init__.py"),
        ("empty", None, "a folder without __init__.py is no plugin"),
        ("my method.py", PLUGIN, "'my method' cannot be one; use up to 100 of the letters a to z"),
        (f"{'a' * 101}.py", PLUGIN, f"{'a' * 59}…' cannot be one"),
        ("nul.py", "\0", "is not readable Python"),
    ],
)
def test_what_is_no_plugin_is_refused(tmp_path, cli, name, source, words):
    from conftest import one_clear_line

    path = tmp_path / name
    path.mkdir() if source is None else path.write_text(source)
    one_clear_line(cli("list", "--plugin", path), f"--plugin {path}", words)


@pytest.mark.parametrize(
    ("imports", "base", "kind"),
    [
        ("from hashbench import HashMethod as Base", "Base", "methods"),
        ("from hashbench import HashDataset as Base", "Base", "datasets"),
        ("import hashbench as hb", "hb.HashMethod", "methods"),
        ("import hashbench as hb", "hb.HashDataset", "datasets"),
        ("import hashbench", "hashbench.HashDataset", "datasets"),
        ("import hashbench.data.plugin", "hashbench.data.plugin.HashDataset", "datasets"),
        ("from hashbench.datasets.digits import Digits", "Digits", "datasets"),
        ("from hashbench.datasets import digits as d", "d.Digits", "datasets"),
        ("from hashbench.methods.itq import ITQ as Parent", "Parent", "methods"),
    ],
)
def test_the_kind_follows_from_the_base_class(tmp_path, imports, base, kind):
    (tmp_path / "mine.py").write_text(f"{imports}\nclass Mine({base}):\n    pass\n")
    plugin = Registry([tmp_path / "mine.py"]).find(kind, "mine")
    assert plugin.load().__name__ == "Mine"


def test_a_second_name_for_the_class_is_no_second_class(tmp_path):
    (tmp_path / "mine.py").write_text(f"{PLUGIN}\nAlias = Mine\n")
    assert Registry([tmp_path / "mine.py"]).find("methods", "mine").load().__name__ == "Mine"


def test_names_are_safe_as_files():
    for name in ("itq", "my-method", "M_2", "a" * 100):
        assert is_plugin_name(name)
        assert is_protocol_name(f"{name}/1[queries=1,share=0.5]+lists:0a1b2c3d")
    for name in ("", "-rf", "..", "a/b", "a b", "a.py", "é", "a\n", "a" * 101, "a[1]"):
        assert not is_plugin_name(name)
    for name in ("", "/etc", "../x/1", "a/../b", "a//b", "a/", "a b/1", "a/1\n", "a" * 201):
        assert not is_protocol_name(name)


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
