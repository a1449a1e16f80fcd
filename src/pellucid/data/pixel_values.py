"""Converts the stored values of a picture file to 8-bit grey or RGB, as its tags and profiles say.

Scales 16 bits and floats to 8 bits, inverts TIFF's WhiteIsZero, converts colour profiles and gamma to sRGB, and puts
transparent parts over a background.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from pellucid.errors import FormatError

__all__ = ["flatten"]

_PHOTOMETRIC, _BITS = 262, 258
"""Tags of TIFF 6.0: PhotometricInterpretation, BitsPerSample."""


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
    """Convert a picture to mode L or RGB, without transparency."""
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image, name)
    image = _with_gamma(_in_srgb(image))
    if image.has_transparency_data:
        rgba = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, (*background, 255)), rgba)
    if image.mode not in ("L", "1", "RGB"):
        # Palettes, CMYK, YCbCr and the rest go through RGB, so that the same formula gives grey.
        image = image.convert("RGB")
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """Convert 16-bit grey (modes I;16 and I), or floats of 0 to 1 or 0 to 255 (mode F), to mode L."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    tags = getattr(image, "tag_v2", {})
    white_is_zero = tags.get(_PHOTOMETRIC) == 0
    if image.mode == "F" and white_is_zero:
        raise FormatError(f"{name} is a float TIFF with WhiteIsZero, so its range is unknown. Save it as PNG.")
    if image.mode == "F":
        if not (low >= 0 and high <= 255):
            raise FormatError(f"{name} has values from {low} to {high}; floats must lie in 0 to 1 or 0 to 255.")
        values = values * 255 if high <= 1 else values
    else:
        if not (low >= 0 and high <= 65535):
            raise FormatError(f"{name} has values from {low} to {high}; whole numbers must lie in 0 to 65535.")
        bits = tags.get(_BITS, (16,))
        full = 2 ** int(bits[0] if isinstance(bits, tuple) else bits) - 1
        full = full if high <= full < 65535 else 65535
        values = values * (255 / full)
        values = 255 - values if white_is_zero else values
    grey = Image.fromarray(np.rint(values).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        # A 16-bit PNG may declare one value as transparent.
        grey.putalpha(Image.fromarray(np.where(np.asarray(image) == transparent, 0, 255).astype(np.uint8)))
    return grey
