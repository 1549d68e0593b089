"""Files and paths: read, written, hashed, cached."""
