"""`python -m promoloop.cli` is `promoloop`."""

from promoloop.cli.app import main

main()
