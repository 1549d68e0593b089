"""Faults of splits: queries in other parts by row, path or content, and labels that make every score alike."""
