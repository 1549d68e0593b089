"""What records say together: settings, rows over seeds, verdicts, differences."""
