"""What networks run on: devices, their precision and memory."""
