"""The house: imports go one way, rooms and modules stay small, plugins import what they may."""

import ast
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


def test_rooms_import_one_way_and_have_no_circle():
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("needs a checkout")
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


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
    "quantizers": ("hashbench.contract", "hashbench.errors"),
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


def test_a_run_that_needs_no_torch_imports_none(tmp_path):
    done = subprocess.run([sys.executable, "-c", LIGHT, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
