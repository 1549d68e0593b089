"""The figures of a page: what they look like, their data, their description in words."""
