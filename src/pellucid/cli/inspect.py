"""`pellucid inspect MODEL`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pellucid.records import Figure

EXAMPLES = """  pellucid inspect runs/mnist-lenet5-001
  pellucid inspect model.safetensors --sizes
  pellucid inspect model.safetensors --filters c1
  pellucid inspect model.safetensors --filters 2 --limit 8 --scale layer
  pellucid inspect model.safetensors --feature-maps c1 --picture mnist:17
  pellucid inspect model.safetensors --feature-maps 2 --picture scan.png --out maps.png

LAYER is a layer's name, or a number among the convolutions, from 1: the table has both.
A picture is a file, or a data set and the number of a test picture: mnist:17, digits:train/3."""


def inspect(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file, or a run folder.", show_default=False)],
    *,
    sizes: Annotated[bool, typer.Option("--sizes", help="Work out O = (W − F + 2P) / S + 1 for each layer.")] = False,
    filters: Annotated[
        str | None, typer.Option(metavar="LAYER", help="Draw the kernels of a convolution.", show_default=False)
    ] = None,
    feature_maps: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER", help="Draw what a layer makes of a picture; needs --picture.", show_default=False
        ),
    ] = None,
    picture: Annotated[
        str | None, typer.Option(metavar="P", help="A picture file, or DATA:NUMBER.", show_default=False)
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="What shares one scale of colours: filter or layer; for maps, map or layer.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="How many kernels or maps are drawn, at most.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The PNG to write; otherwise one beside the model.", show_default=False)
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="For a model of your own network: file.py:Class.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document of findings.")] = False,
) -> None:
    """Look inside a model: its layers, the arithmetic of their sizes, kernels and feature maps as PNG."""
    from pellucid.records import Findings, Model

    drawing = filters is not None or feature_maps is not None
    _check(filters, feature_maps, picture, scale, limit, out)
    loaded = Model.load(model)

    from pellucid import insight
    from pellucid.cli import console

    chosen: dict[str, Any] = {"limit": limit, "network": network} | ({} if scale is None else {"scale": scale})
    figures: list[Figure] = []
    if filters is not None:
        figures.append(insight.filters(loaded, filters, **chosen))
    if feature_maps is not None:
        figures.append(insight.feature_maps(loaded, feature_maps, picture, **chosen))
    for figure in figures:
        path = _draw(figure, out or _beside(model) / _name(figure))
        (console.say if as_json else typer.echo)(console.plain(str(path)))
    tables = Findings() if drawing else insight.summary(loaded, network)
    if sizes:
        tables += insight.sizes(loaded, network)
    if as_json:
        console.emit(tables + figures, as_json=True)
    elif tables.items:
        console.emit(tables, as_json=False)


def _check(
    filters: str | None,
    feature_maps: str | None,
    picture: str | None,
    scale: str | None,
    limit: int | None,
    out: Path | None,
) -> None:
    """Refuses options that do not go together, before anything heavy is imported."""
    from pellucid.errors import UnknownNameError, UsageError

    if feature_maps is not None and picture is None:
        raise UsageError(
            f"Feature maps of which picture? Give --picture FILE, or one of a data set: "
            f"--feature-maps {feature_maps} --picture mnist:17."
        )
    if picture is not None and feature_maps is None:
        raise UsageError("--picture is for --feature-maps LAYER, which was not given. Try --feature-maps 1.")
    if filters is None and feature_maps is None:
        for option, given in (("--out", out), ("--limit", limit), ("--scale", scale)):
            if given is not None:
                raise UsageError(f"{option} is for pictures: give --filters LAYER or --feature-maps LAYER too.")
    if filters is not None and feature_maps is not None and out is not None:
        raise UsageError("--filters and --feature-maps are two pictures, and --out names one. Draw them one by one.")
    own = "filter" if feature_maps is None else "map"
    both = filters is not None and feature_maps is not None
    known = ["layer"] if both else ["layer", own]
    if scale in ("filter", "map") and scale not in known:
        what = "kernels and maps in one go take" if both else f"{'maps' if own == 'map' else 'kernels'} take"
        raise UsageError(f"--scale {scale} does not fit here: {what} --scale {' or --scale '.join(known)}.")
    if scale is not None and scale not in known:
        raise UnknownNameError("scale", scale, known)
    if out is not None and out.suffix.lower() != ".png":
        raise UsageError(f"The picture is written as PNG, and '{out.name}' is another kind. Try --out {out.stem}.png.")


def _draw(figure: Figure, path: Path) -> Path:
    from pellucid.errors import UsageError
    from pellucid.records import display

    draw = display.view("figure")
    if draw is None:
        raise UsageError("Nothing here draws pictures. --json with no drawing option prints the layers.")
    return draw(figure, path)


def _beside(model: Path) -> Path:
    return model if model.is_dir() else model.parent


def _name(figure: Figure) -> str:
    """`lenet5-c1-filters.png`, `lenet5-c1-maps-mnist-test-17.png`."""
    data = figure.data
    what = "filters" if figure.figure == "filters" else f"maps-{Path(data['picture']['id']).with_suffix('')}"
    parts = re.sub(r"[^\w.]+", "-", f"{data['network']}-{data['layer']}-{what}").strip("-.")
    return f"{parts.lower()[:100]}.png"
