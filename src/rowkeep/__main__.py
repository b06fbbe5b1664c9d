"""`python -m rowkeep` is the command `rowkeep`."""

from rowkeep.cli import main

main()
