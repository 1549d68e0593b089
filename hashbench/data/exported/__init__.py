"""Protocols for training code of others: items, order and labels as files, and a manifest to read the codes back by."""
