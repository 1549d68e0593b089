"""Records as tables, figures, audits and leaderboards."""
