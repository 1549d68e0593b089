"""``python -m hashbench``, and the command ``hashbench``: begins with next to nothing, so that Ctrl-C always works."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from hashbench.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("hashbench: interrupted; nothing is half done, give the same command again", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
