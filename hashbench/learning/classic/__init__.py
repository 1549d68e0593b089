"""What methods share that train no network: anchor graphs, kernels with anchors."""
