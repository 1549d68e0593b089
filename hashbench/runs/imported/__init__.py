"""Codes that other programs have made for a protocol become records: read, checked, scored and kept."""
