"""The wheel carries the plugins, and does not shadow another package's names."""

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_holds_package_and_plugins_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "hashbench/methods/itq.py" in names
    assert "hashbench/methods/cibhash.py" in names
    assert "hashbench/datasets/digits.py" in names
    assert "hashbench/quantizers/rabitq.py" in names
    assert "hashbench/methods/__init__.py" in names
    assert {name.partition("/")[0] for name in names} == {
        "hashbench",
        f"{wheel.name.rpartition('-py3')[0]}.dist-info",
    }


@pytest.mark.slow
def test_an_unpacked_wheel_finds_its_plugins(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import hashbench; from hashbench.plugins.registry import Registry\n"
        "assert hashbench.__file__.startswith(sys.argv[1]), hashbench.__file__\n"
        "origin = Registry().find('methods', 'itq').origin\n"
        "assert origin.startswith(sys.argv[1]), origin\n"
        "assert hashbench.load_method('itq').name == 'itq'\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code, str(tmp_path)], check=True, cwd=tmp_path)


def test_the_sdist_holds_what_a_wheel_is_made_of(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (file,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {name for name in included if not any(one.startswith(name.strip("/")) for one in names)} == set()
    assert {"pyproject.toml", "methods/itq.py", "datasets/digits.py", "tests/test_package.py"} <= names
    assert not {name for name in names if name.startswith((".venv", "runs", "dist"))}


def test_the_version_is_the_same_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = (ROOT / "CITATION.cff").read_text()
    (changes,) = re.findall(rf"^## {re.escape(version)} \((\S+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert f"\nversion: {version}\ndate-released: {changes}\n" in citation


@pytest.mark.slow
def test_a_package_named_datasets_is_not_shadowed(tmp_path):
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").write_text("name = 'theirs'")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); sys.path.append(sys.argv[2])\n"
        "import datasets, hashbench\n"
        "assert datasets.name == 'theirs'\n"
        "assert hashbench.load_dataset('digits').name == 'digits'\n"
    )
    subprocess.run([sys.executable, "-c", code, str(ROOT), str(tmp_path)], check=True, cwd=tmp_path)


def test_every_leaderboard_of_the_project_is_valid(cli):
    boards = sorted((ROOT / "leaderboards").glob("*.csv"))
    assert boards
    assert cli("validate", *boards).returncode == 0


def test_plugin_authors_import_from_one_place():
    import hashbench

    assert hashbench.__all__ == sorted(
        hashbench.__all__, key=lambda name: (not name.isupper(), name[0].islower(), name)
    )
    for name in hashbench.__all__:
        assert hasattr(hashbench, name), name
        assert name in dir(hashbench)
    for file in [*(ROOT / "docs").glob("add-a-*.md"), *(ROOT / "docs" / "example-package").rglob("*.py")]:
        sources = set(re.findall(r"^(?:from|import) (hashbench\S*)", file.read_text(), re.MULTILINE))
        learning = {f"hashbench.learning.{module}" for module in ("deep", "layers", "supervised")}
        assert sources <= {"hashbench", "hashbench.checks", *learning}, file
