"""Entry point: `python -m segmentation …` is the `segmentation` command.

Ctrl-C while the libraries are still loading ends like any other interruption.
"""

import sys


def main() -> None:
    """Load the command line and run it."""
    try:
        from segmentation.cli import main as run
    except KeyboardInterrupt:
        print("segmentation: interrupted; previous outputs are unchanged.", file=sys.stderr)
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
