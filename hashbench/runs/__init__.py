"""Runs: a grid of cells, computed and recorded."""
