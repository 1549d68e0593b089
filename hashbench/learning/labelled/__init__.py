"""What losses that read labels share: pairs, a memory of outputs, target codes, a linear layer."""
