"""`python -m pellucid.cli` runs the command line when the `pellucid` script is not on the path."""

from pellucid.cli import main

main()
