"""``python -m hashbench``."""

from hashbench.cli.main import main

main()
