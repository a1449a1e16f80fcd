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

__all__ = ["check_layout", "flatten"]

_PHOTOMETRIC, _BITS, _PLANAR, _SAMPLE_FORMAT = 262, 258, 284, 339
"""Tags of TIFF 6.0: PhotometricInterpretation, BitsPerSample, PlanarConfiguration, SampleFormat."""
_VALUES_AT_ONCE = 4_000_000
"""Pixels that are converted together."""


def check_layout(image: Image.Image, name: str) -> None:
    """Check the header of an opened picture for layouts that Pillow would misread, before it is decoded.

    Pillow scales the samples of a PNG of 2 or 4 bits to 8, but not the value that stands for transparency: that is
    mended here.

    Raises:
        FormatError: it is a PNG of 16 bits with a transparent colour, or a TIFF of 16 bits in planes.
    """
    rawmodes = [str(tile.args[0] if isinstance(tile.args, tuple) else tile.args) for tile in getattr(image, "tile", ())]
    transparent = image.info.get("transparency")
    if image.format == "PNG" and transparent is not None and "RGB;16B" in rawmodes:
        raise FormatError(
            f"{name} is a PNG of 16 bits per channel with a transparent colour, which is not supported. Save it with "
            f"8 bits, or with an alpha channel."
        )
    if image.format == "PNG" and isinstance(transparent, int):
        image.info["transparency"] = transparent * {"L;2": 85, "L;4": 17}.get(rawmodes[0] if rawmodes else "", 1)
    tags = getattr(image, "tag_v2", {})
    if tags.get(_PLANAR) == 2 and len(image.getbands()) > 1 and max(_numbers(tags, _BITS, 8)) > 8:
        raise FormatError(
            f"{name} is a TIFF of 16 bits in separate planes, which is not supported. Save it with its channels "
            f"together (contiguous), or with 8 bits."
        )


def _numbers(tags: Any, tag: int, default: int) -> tuple[int, ...]:
    """The values of a TIFF tag, one per channel."""
    value = tags.get(tag)
    return (default,) if value is None or value == () else value if isinstance(value, tuple) else (value,)


def _with_alpha(image: Image.Image) -> Image.Image:
    """The picture with a channel for its transparency, and without a palette."""
    if image.mode == "La":
        return image.convert("LA")
    if image.mode in ("LA", "RGBA") or not (image.has_transparency_data or image.mode in ("P", "PA")):
        return image
    if not image.has_transparency_data:
        return image.convert("RGB")
    return image.convert("LA" if image.mode == "L" else "RGBA")


def _in_srgb(image: Image.Image) -> Image.Image:
    """Convert a picture with a colour profile to sRGB; others are returned unchanged."""
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK", "L", "LA", "RGBA"):
        return image
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in (ImageCms.getProfileDescription(source) or "").lower():
            return image
        target = ImageCms.createProfile("sRGB")
        if image.mode in ("L", "LA"):
            ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
            exact = ImageCms.Flags.NOOPTIMIZE  # lcms would interpolate, which is too coarse in the dark of steep curves
            curve = ImageCms.profileToProfile(ramp, source, target, outputMode="RGB", flags=exact)
            table = list(range(256)) if curve is None else list(curve.convert("L").tobytes())
            return image.point(table if image.mode == "L" else [*table, *range(256)])
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
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
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        return image
    table = [round(255 * (value / 255) ** (1 / 2.2 / gamma)) for value in range(256)]
    bands = image.getbands()
    return image.point([value for band in bands for value in (range(256) if band == "A" else table)])


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
    image = _with_gamma(_in_srgb(_with_alpha(image)))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
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
    bits, signed = max(_numbers(tags, _BITS, 16)), _numbers(tags, _SAMPLE_FORMAT, 1)[0] == 2
    if not (low >= 0 and high <= 65535):
        if bits == 32 and not signed:
            raise FormatError(f"{name} is a TIFF of 32 bits per pixel, which is not supported. Save it with 16 bits.")
        raise FormatError(f"{name} has values from {low} to {high}; whole numbers must lie in 0 to 65535.")
    full = 2 ** (bits - signed) - 1
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
    grey.info = {key: value for key, value in image.info.items() if key != "transparency"}
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        # A 16-bit PNG may declare one value as transparent.
        grey.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return grey
