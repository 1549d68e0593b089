"""Codes and relevance in, metrics out: exact, with ties in expectation."""
