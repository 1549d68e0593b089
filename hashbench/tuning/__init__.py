"""Chooses parameters: trials of every method on validation queries, with equal budgets."""
