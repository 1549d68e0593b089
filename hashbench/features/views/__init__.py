"""How images become views."""
