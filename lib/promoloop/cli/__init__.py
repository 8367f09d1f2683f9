"""`promoloop …`: the same jobs for people. `main` is the console script."""

from promoloop.cli.app import main

__all__ = ["main"]
