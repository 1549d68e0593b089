"""Product quantizers whose codebooks belong to a network that is trained."""
