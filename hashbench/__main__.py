"""``python -m hashbench``, and the command ``hashbench``: begins with next to nothing, so that Ctrl-C always works."""

import os
import sys
from collections.abc import Callable


def main() -> None:
    """Run the command line."""
    try:
        from hashbench.files.standard_streams import open_what_is_closed

        open_what_is_closed()
        os.environ["PYTHONSAFEPATH"] = "1"  # for processes to come: none looks for modules in the working directory
        _imported()()
    except KeyboardInterrupt:
        print("hashbench: interrupted; nothing is half done, give the same command again", file=sys.stderr)
        sys.exit(130)


def _imported() -> Callable[[], None]:
    """Import the command line, or leave with a line on why that cannot be."""
    from hashbench.errors import InputError

    try:
        from hashbench.cli.main import main
    except InputError as error:
        sys.exit(_complain(str(error)))
    except Warning as error:
        warning = f"{type(error).__name__}: {' '.join(str(error).split())}"
        sys.exit(_complain(f"a library warns ({warning}), and PYTHONWARNINGS or -W makes that an error; leave it out"))
    return main


def _complain(message: str) -> int:
    print(f"hashbench: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    from hashbench.files.search_path import leave_working_directory

    leave_working_directory()
    main()
