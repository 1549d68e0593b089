"""Formulas over histograms and rankings, exact over ties."""
