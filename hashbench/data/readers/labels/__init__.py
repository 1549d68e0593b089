"""How labels are read: the same rules for all kinds of files, see docs/labels.md."""
