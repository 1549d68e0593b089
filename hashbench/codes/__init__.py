"""Codes and labels that other programs have saved: found in their files by name and shape, and read into one form."""
