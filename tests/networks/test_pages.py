"""Every network has a page, and docs/networks.md is made of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.errors import UnknownNameError
from pellucid.networks import pages
from pellucid.networks.catalogue import NETWORKS, own_recipe

DOCUMENT = Path(__file__).parents[2] / "docs" / "networks.md"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_page_says_what_a_reader_needs(name):
    text = pages.page(name)
    for part in ("Source:", "Good for:"):
        assert part in text
    assert "→" in text, "shapes are missing"


def test_a_page_is_that_of_the_class():
    from pellucid.networks.mlp import MLP

    assert pages.page("mlp").splitlines()[0] == (MLP.__doc__ or "").splitlines()[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_recipe_read_from_the_file_is_that_of_the_class(name):
    assert pages.recipe_of(name) == own_recipe(name)


def test_networks_from_elsewhere_have_no_recipe_here():
    assert pages.recipe_of("timm:resnet18") == pages.recipe_of("custom") == {}


def test_what_has_no_page_is_said():
    assert "no page" in pages.page("timm:resnet18")
    with pytest.raises(UnknownNameError, match="Did you mean 'lenet5'"):
        pages.page("lenet")


def test_the_document_is_up_to_date():
    assert DOCUMENT.read_text(encoding="utf-8") == pages.document(), (
        "run: python -m pellucid.networks.pages > docs/networks.md"
    )


def test_reading_pages_imports_no_torch():
    code = "import sys; from pellucid.networks.pages import document; document(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
