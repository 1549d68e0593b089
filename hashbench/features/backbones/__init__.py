"""Backbones: the networks, their weights and the devices that they run on."""
