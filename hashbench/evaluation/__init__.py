"""Codes and relevance in, metrics out: exact, with ties in expectation."""

from pathlib import Path

from hashbench.files.compiled import give_numba_a_cache

give_numba_a_cache(Path(__file__).parent)
