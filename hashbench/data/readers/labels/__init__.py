"""How labels are read, whatever file holds them: one set of rules, stated in docs/labels.md."""
