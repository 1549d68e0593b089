"""Texts: in tables, in lines, in folders of files, and as word counts in MATLAB files."""
