"""Worker processes that nothing a cell does can take the run down with."""
