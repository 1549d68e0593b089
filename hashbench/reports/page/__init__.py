"""A report for people: one HTML page that needs no network."""
