"""``python -m thermalize`` is the command ``thermalize``."""

from thermalize.cli import main

if __name__ == "__main__":
    main()
