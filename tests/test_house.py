"""The house: imports go one way, rooms and modules stay small, plugins import what they may."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "hashbench"
MOST_LINES = 400
MOST_FILES = 15
PLUGINS = {"methods", "quantizers", "datasets"}


def modules():
    return [path for path in PACKAGE.rglob("*.py") if not PLUGINS & set(path.parts)]


def lint_imports(root):
    """Return how the import contracts of a checkout end, and what is said of them."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs a checkout")
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_rooms_import_one_way_and_have_no_circle():
    code, said = lint_imports(ROOT)
    assert code == 0, said


@pytest.mark.parametrize(
    ("module", "imported", "broken"),
    [
        ("contract/saved_file.py", "hashbench.contract.quantizer", "No cycles are allowed in hashbench.contract."),
        ("files/reached.py", "hashbench.files.source", "No cycles are allowed in hashbench.files."),
        ("contract/values.py", "hashbench.runs.job", "hashbench.contract is not allowed to import hashbench.runs"),
    ],
)
def test_an_import_inside_a_function_is_seen(tmp_path, module, imported, broken):
    shutil.copytree(PACKAGE, tmp_path / "hashbench", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "hashbench" / module).open("a") as source:
        source.write(f"\n\ndef late():\n    import {imported}\n")
    code, said = lint_imports(tmp_path)
    assert code == 1
    assert broken in said


def test_a_module_without_a_room_is_seen(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "hashbench", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "hashbench" / "stray.py").write_text("")
    code, said = lint_imports(tmp_path)
    assert code == 1
    assert "stray" in said


def test_modules_are_short():
    long = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in modules()}
    assert not {name: lines for name, lines in long.items() if lines > MOST_LINES}


def test_rooms_are_small():
    rooms = {}
    for path in modules():
        if path.name != "__init__.py" and path.parent != PACKAGE:
            rooms.setdefault(str(path.parent.relative_to(ROOT)), []).append(path.name)
    assert not {room: len(files) for room, files in rooms.items() if len(files) > MOST_FILES}


ALLOWED = {
    "methods": ("hashbench.contract", "hashbench.errors", "hashbench.learning"),
    "quantizers": ("hashbench.contract", "hashbench.errors", "hashbench.learning"),
    "datasets": ("hashbench.data", "hashbench.errors", "hashbench.files", "hashbench.progress"),
}


@pytest.mark.parametrize("kind", sorted(PLUGINS))
def test_plugins_import_the_contract_and_their_room(kind):
    for path in (ROOT / kind).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hashbench."):
                own = f"hashbench.{kind}.{path.parent.name}"
                assert node.module.startswith((*ALLOWED[kind], own)), f"{path.name} imports {node.module}"


LIGHT = """
import sys
sys.argv = ["hashbench", "run", "--methods", "lsh,itq,sph,agh", "--bits", "8", "--in-process", "--out", sys.argv[1]]
from hashbench.__main__ import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torch", "torchvision", "lightning_fabric", "timm"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.slow
def test_a_run_that_needs_no_torch_imports_none(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIGHT, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_run_starts_its_worker_before_anything_heavy_is_imported():
    code = "import sys, hashbench.runs.run; print({'pandas', 'numba', 'scipy', 'sklearn', 'torch'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
