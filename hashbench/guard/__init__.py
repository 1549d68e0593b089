"""Runs plugins' code: what it raises becomes a reason, what it leaves behind is put back or noticed."""
