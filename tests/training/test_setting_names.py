"""The names that are checked without torch are those of the registries, which import it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pellucid.errors import UsageError
from pellucid.training import augmentation, initialisation, losses, optimizers, setting_names
from pellucid.training.recipes import RECIPES, Recipe, named_recipe


@pytest.mark.parametrize(
    ("names", "registry"),
    [
        (setting_names.OPTIMIZERS, optimizers.OPTIMIZERS),
        (setting_names.LOSSES, losses.LOSSES),
        (setting_names.INITIALISATIONS, initialisation.INITIALISATIONS),
        (setting_names.AUGMENTATIONS, augmentation.AUGMENTATIONS),
    ],
    ids=["optimizers", "losses", "initialisations", "augmentations"],
)
def test_names_are_those_of_the_registry(names, registry):
    assert set(names) == set(registry)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_known_names(name):
    setting_names.require_known(named_recipe(name))


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adm"},
        {"schedule": "cosin"},
        {"loss": "hing"},
        {"initialisation": "normal"},
        {"augmentation": ("flipp",)},
        {"augmentation": ("flip:2",)},
        {"loss": "hinge", "label_smoothing": 0.1},
    ],
    ids=str,
)
def test_wrong_names_and_amounts_are_refused(changes):
    with pytest.raises(UsageError):
        setting_names.require_known(Recipe(**changes))


def test_checking_names_imports_no_torch():
    script = "import sys; import pellucid.training.setting_names; import pellucid.inference.device_names"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}; print('torch' in sys.modules, 'numpy' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "False"]
