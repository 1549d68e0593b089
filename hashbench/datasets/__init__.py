"""Data set plugins: the top-level ``datasets/`` folder of a checkout, or its copy inside an installed wheel."""

from hashbench.plugins.folders import plugin_path

__path__ = plugin_path("datasets", __path__)
