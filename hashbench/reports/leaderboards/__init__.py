"""Leaderboards: checked records as one CSV per data set, which people can read."""
