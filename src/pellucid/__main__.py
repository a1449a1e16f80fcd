"""`python -m pellucid` runs the command line. Launchers such as torchrun start it this way."""

from pellucid.cli import main

if __name__ == "__main__":
    main()
