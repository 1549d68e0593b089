"""Bundles: a run's records and codes in one file, which another lab scores again."""
