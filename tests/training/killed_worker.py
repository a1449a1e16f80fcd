"""`pellucid train` as torchrun starts it, in which process 1 kills itself once, at step 7. Arguments: FOLDER."""

import os
import signal
import sys
from pathlib import Path

from pellucid.cli import main
from pellucid.training.batches import Batches
from pellucid.training.checkpoint import Checkpoints

FOLDER = Path(sys.argv[1])
RANK = int(os.environ["RANK"])
LOG = os.open(FOLDER / f"steps-{RANK}", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
epoch = Batches.epoch
made = 0


def watched(self, *which: int):
    global made  # noqa: PLW0603 (a script)
    for batch in epoch(self, *which):
        yield batch
        made = batch[0]
        os.write(LOG, f"{made}\n".encode())
        if made == 7 and RANK == 1 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)


Batches.epoch = watched
Checkpoints.is_due = lambda self: (made + 1) % 4 == 0  # asked after a step that is not noted yet
if __name__ == "__main__":
    main(
        ["train", "digits", "--network", "convnet", "--epochs", "2", "--batch-size", "128", "--no-check", "--no-report"]
    )
