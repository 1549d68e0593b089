"""Results of many records: settings, rows over seeds, verdicts, differences."""
