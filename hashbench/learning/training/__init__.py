"""The training loop of deep methods: batches, steps, checkpoints, several devices, and encoding without torch."""
