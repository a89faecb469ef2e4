"""`python -m segmentation …` is the `segmentation` command."""

from segmentation.cli import main

if __name__ == "__main__":
    main()
