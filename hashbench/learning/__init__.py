"""What methods share: linear algebra, anchor graphs, base classes and parts of deep methods."""
