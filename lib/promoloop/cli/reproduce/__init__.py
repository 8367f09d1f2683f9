"""A past run made again from the table versions it was made of, and compared with what it left."""

from promoloop.cli.reproduce.compared import shown
from promoloop.cli.reproduce.plan import again

__all__ = ["again", "shown"]
