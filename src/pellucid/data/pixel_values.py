"""Converts the stored values of a picture file to 8-bit grey or RGB, as its tags and profiles say.

Scales 16 bits and floats to 8 bits, inverts TIFF's WhiteIsZero, converts colour profiles and gamma to sRGB, and puts
transparent parts over a background.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pellucid.errors import FormatError

__all__ = ["flatten"]

_PHOTOMETRIC, _BITS = 262, 258
"""Tags of TIFF 6.0: PhotometricInterpretation, BitsPerSample."""
_VALUES_AT_ONCE = 4_000_000
"""Pixels that are converted together."""


def _in_srgb(image: Image.Image) -> Image.Image:
    """Convert a picture with a colour profile to sRGB; others are returned unchanged."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK", "L", "RGBA"):
        return image
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in (ImageCms.getProfileDescription(source) or "").lower():
            return image
        mode = image.mode if image.mode in ("L", "RGBA") else "RGB"
        target = source if mode == "L" else ImageCms.createProfile("sRGB")
        if mode == "L":  # grey profiles differ only in gamma, and Pillow has no sRGB grey
            return image
        converted = ImageCms.profileToProfile(image, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # ignore a damaged or unsuitable profile, as browsers do
    return image if converted is None else converted


def _with_gamma(image: Image.Image) -> Image.Image:
    """Convert a PNG to the gamma of sRGB, if it has a different gAMA chunk and neither a profile nor an sRGB chunk."""
    gamma = image.info.get("gamma")
    stated = "srgb" in image.info or "icc_profile" in image.info
    if stated or not isinstance(gamma, float) or gamma <= 0 or abs(gamma - 1 / 2.2) < 0.02:
        return image
    if image.mode not in ("L", "RGB"):
        return image
    table = [round(255 * (value / 255) ** (1 / 2.2 / gamma)) for value in range(256)]
    return image.point(table * len(image.getbands()))


def flatten(image: Image.Image, mode: str, background: tuple[int, int, int], name: str) -> Image.Image:
    """Convert a picture to mode L or RGB, without transparency.

    Large pictures are converted band by band, so that intermediate values never take more memory than the picture.
    """
    scale = _scale_of(image, name) if image.mode.startswith(("I", "F")) else None
    step = max(1, _VALUES_AT_ONCE // max(1, image.width))
    if step >= image.height:
        return _flat(image, mode, background, scale)
    whole = Image.new(mode, image.size)
    for top in range(0, image.height, step):
        band = image.crop((0, top, image.width, min(top + step, image.height)))
        whole.paste(_flat(band, mode, background, scale), (0, top))
    return whole


def _flat(image: Image.Image, mode: str, background: tuple[int, int, int], scale: _Scale | None) -> Image.Image:
    if scale is not None:
        image = _eight_bits(image, scale)
    image = _with_gamma(_in_srgb(image))
    if image.has_transparency_data:
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (*background, 255)), rgba)
    if image.mode not in ("L", "1", "RGB"):
        # Palettes, CMYK, YCbCr and the rest go through RGB, so that the same formula gives grey.
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


@dataclass(frozen=True)
class _Scale:
    """How stored values become 0 to 255: times `factor`, and subtracted from 255 if `inverted`."""

    factor: float
    inverted: bool = False


def _scale_of(image: Image.Image, name: str) -> _Scale:
    """The scale of 16-bit grey (modes I;16 and I), or of floats of 0 to 1 or 0 to 255 (mode F).

    Raises:
        FormatError: the values lie outside these ranges.
    """
    low, high = _extremes(image)
    tags = getattr(image, "tag_v2", {})
    white_is_zero = tags.get(_PHOTOMETRIC) == 0
    if image.mode == "F" and white_is_zero:
        raise FormatError(f"{name} is a float TIFF with WhiteIsZero, so its range is unknown. Save it as PNG.")
    if image.mode == "F":
        if not (low >= 0 and high <= 255):
            raise FormatError(f"{name} has values from {low} to {high}; floats must lie in 0 to 1 or 0 to 255.")
        return _Scale(255.0 if high <= 1 else 1.0)
    if not (low >= 0 and high <= 65535):
        raise FormatError(f"{name} has values from {low} to {high}; whole numbers must lie in 0 to 65535.")
    bits = tags.get(_BITS, (16,))
    full = 2 ** int(bits[0] if isinstance(bits, tuple) else bits) - 1
    full = full if high <= full < 65535 else 65535
    return _Scale(255 / full, inverted=white_is_zero)


def _extremes(image: Image.Image) -> tuple[Any, Any]:
    """The lowest and highest value; NaN if there is one."""
    step = max(1, _VALUES_AT_ONCE // max(1, image.width))
    extremes = []
    for top in range(0, image.height, step):
        band = np.asarray(image.crop((0, top, image.width, min(top + step, image.height))))
        extremes.append((band.min(), band.max()))
    return np.min([low for low, _ in extremes]), np.max([high for _, high in extremes])


def _eight_bits(image: Image.Image, scale: _Scale) -> Image.Image:
    """Convert 16-bit grey or floats to mode L, or LA if a value is declared as transparent."""
    values = np.asarray(image)
    scaled = values * scale.factor
    grey = Image.fromarray(np.rint(255 - scaled if scale.inverted else scaled).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        # A 16-bit PNG may declare one value as transparent.
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey
