"""What methods share to learn: linear algebra, anchor graphs, training of networks."""
