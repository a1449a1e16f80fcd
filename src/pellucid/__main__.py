"""`python -m pellucid`: the same as `pellucid`, also for launchers such as torchrun."""

from pellucid.cli import main

if __name__ == "__main__":
    main()
