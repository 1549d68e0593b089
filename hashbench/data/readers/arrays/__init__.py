"""Arrays in the files that embeddings are kept in, read block by block."""
