"""Clusters of all training rows, found again in every epoch: the rows' features, and clusterings."""
