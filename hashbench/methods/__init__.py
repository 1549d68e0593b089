"""Method plugins: the top-level ``methods/`` folder of a checkout, or its copy inside an installed wheel."""

from hashbench.plugins.folders import plugin_path

__path__ = plugin_path("methods", __path__)
