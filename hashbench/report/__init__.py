"""What people look at: figures drawn from a run's records."""
