"""Where the project's own plugins are: next to the package in a checkout, inside it in a wheel."""

from collections.abc import Iterable
from pathlib import Path


def plugin_path(kind: str, package_path: Iterable[str]) -> list[str]:
    """Return the search path of ``hashbench.<kind>``.

    Parameters
    ----------
    kind : {"methods", "quantizers", "datasets"}
        Name of the top-level folder.
    package_path : iterable of str
        The shim package's own ``__path__``.

    Returns
    -------
    list of str
        The checkout's folder first, where there is one (plain checkout or editable install).
    """
    root = Path(__file__).resolve().parents[2]
    if (root / "pyproject.toml").is_file() and (root / kind).is_dir():
        return [str(root / kind), *package_path]
    return list(package_path)
