"""Quantizer plugins: the top-level ``quantizers/`` folder of a checkout, or its copy inside an installed wheel."""

from hashbench.plugins.folders import plugin_path

__path__ = plugin_path("quantizers", __path__)
