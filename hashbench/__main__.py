"""``python -m hashbench``, and the command ``hashbench``: begins with next to nothing, so that Ctrl-C always works."""

import os
import sys


def main() -> None:
    """Run the command line."""
    try:
        from hashbench.files.standard_streams import open_what_is_closed

        open_what_is_closed()
        os.environ["PYTHONSAFEPATH"] = "1"  # for processes to come: none looks for modules in the working directory
        from hashbench.cli.main import main as run

        run()
    except KeyboardInterrupt:
        print("hashbench: interrupted; nothing is half done, give the same command again", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    from hashbench.files.search_path import leave_working_directory

    leave_working_directory()
    main()
