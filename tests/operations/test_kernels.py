import numpy as np
import pytest
from PIL import Image, ImageFilter
from scipy import ndimage

from pellucid.operations.convolution import HANDMADE_KERNELS, apply_kernel


@pytest.mark.parametrize("name", HANDMADE_KERNELS)
@pytest.mark.parametrize("shape", [(9, 7), (6, 8, 3)])
def test_kernels_do_what_scipy_does(name, shape):
    picture = np.random.default_rng(0).uniform(0, 255, shape)
    kernel = HANDMADE_KERNELS[name] if len(shape) == 2 else HANDMADE_KERNELS[name][..., np.newaxis]
    for ours, theirs in (
        (apply_kernel(picture, HANDMADE_KERNELS[name]), ndimage.correlate),
        (apply_kernel(picture, HANDMADE_KERNELS[name], flip=True), ndimage.convolve),
    ):
        np.testing.assert_allclose(ours, theirs(picture, kernel, mode="nearest"), atol=1e-10)


@pytest.mark.parametrize("name", HANDMADE_KERNELS)
def test_kernels_do_what_pillow_does_inside(name):
    pixels = np.random.default_rng(1).integers(90, 160, (8, 8), dtype=np.uint8)
    scale = 9 if name == "blur" else 16 if name == "soft blur" else 1
    kernel = ImageFilter.Kernel((3, 3), (HANDMADE_KERNELS[name] * scale).ravel().round().tolist(), scale=scale)
    theirs = np.asarray(Image.fromarray(pixels).filter(kernel)).astype(float)
    ours = apply_kernel(pixels, HANDMADE_KERNELS[name]).clip(0, 255)
    upside_down = apply_kernel(pixels[::-1], HANDMADE_KERNELS[name])[::-1].clip(0, 255)  # Pillow's rows start below
    inside = np.s_[1:-1, 1:-1]
    near = min(np.abs(one[inside] - theirs[inside]).max() for one in (ours, upside_down))
    assert near <= 1


def test_they_leave_an_even_picture_as_bright_or_black():
    even = np.full((5, 5), 100.0)
    left = {name: apply_kernel(even, kernel)[2, 2] for name, kernel in HANDMADE_KERNELS.items()}
    bright = {"blur", "soft blur", "sharpen", "emboss"}
    assert {name for name, value in left.items() if np.isclose(value, 100)} == bright
    assert {name for name, value in left.items() if np.isclose(value, 0)} == set(HANDMADE_KERNELS) - bright
