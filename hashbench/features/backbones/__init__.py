"""Backbones: the networks, their weights and what runs them."""
