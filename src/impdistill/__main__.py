"""`python -m impdistill` is the command `impdistill`."""

from impdistill.cli import main

main()
