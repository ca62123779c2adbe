"""``python -m roofalloc``: the same as the command ``roofalloc``."""

from .cli import main

if __name__ == "__main__":
    main()
