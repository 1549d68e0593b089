"""What losses of several methods share: pairs, a memory of outputs, target codes, a linear layer, the coding rate."""
