"""The conformance suites that every plugin passes."""
