"""What all tests share: one thread, no network, and no trace in the home of whoever runs them."""

from __future__ import annotations

import os
import shutil

# Two test processes share two cores. This has to be said before torch is imported anywhere.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A shell that starts the tests in the background has them, and every process that they start, ignore Ctrl-C; tests of
# Ctrl-C mean a terminal.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no failure: no test of drawn cases depends on how long one takes.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

_GIVEN_DATA_ROOT = os.environ.get("PELLUCID_DATA")


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets, `$PELLUCID_DATA`; without it the test is skipped, loudly."""
    if not _GIVEN_DATA_ROOT:
        pytest.skip("PELLUCID_DATA is not set, so the real MNIST is not at hand: this test is not run")
    return Path(_GIVEN_DATA_ROOT).resolve()


@pytest.fixture(scope="session", autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Caches and, where no data root was given, downloads go to a folder of this test run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PELLUCID_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("PELLUCID_DATA", _GIVEN_DATA_ROOT or str(tmp_path_factory.mktemp("data")))
        patch.delenv("PELLUCID_DEBUG", raising=False)
        patch.setenv("NO_COLOR", "1")
        yield


@pytest.fixture(autouse=True)
def _no_splits_of_other_tests() -> None:
    """Each test carves its pictures as if nobody had carved them before."""
    shutil.rmtree(Path(os.environ["PELLUCID_CACHE"]) / "splits", ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Any:
    """Only this machine may be talked to: a test that needs the network is no test."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"tests may not connect to {host}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        yield


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of class folders with small photos: ten mostly red ones, ten mostly green ones."""
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos") / "fruit"
    generator = np.random.default_rng(0)
    for name, colour in (("apple", (60, 170, 60)), ("cherry", (190, 40, 50))):
        (folder / name).mkdir(parents=True)
        for index in range(10):
            pixels = np.clip(np.array(colour) + generator.normal(0, 60, (80, 96, 3)), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{name}-{index}.jpg")
    return folder


@pytest.fixture(scope="session")
def photo_model(photos: Path) -> Any:
    """A model of these photos: a last layer on the backbone that comes along, at 32 pixels to be quick."""
    import pellucid

    return pellucid.train(pellucid.load(photos), size=32, progress=False)
