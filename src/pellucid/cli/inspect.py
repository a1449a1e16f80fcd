"""`pellucid inspect MODEL`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pellucid.cli import completion, views

if TYPE_CHECKING:
    from pellucid.records import Figure, Findings

EXAMPLES = """  pellucid inspect runs/mnist-lenet5-001
  pellucid inspect model.safetensors --sizes
  pellucid inspect model.safetensors --graph
  pellucid inspect model.safetensors --filters c1
  pellucid inspect model.safetensors --filters 2 --limit 8 --scale layer
  pellucid inspect model.safetensors --feature-maps c1 --picture mnist:17
  pellucid inspect model.safetensors --activations --data mnist
  pellucid inspect model.safetensors --top-activations c3 --data mnist
  pellucid inspect model.safetensors --why --picture scan.png --data mnist
  pellucid inspect model.safetensors --linear-probe 4,9 --data mnist
  pellucid inspect model.safetensors --embedding --data mnist
  pellucid inspect runs/mnist-lenet5-001 --film c1 --picture mnist:17

LAYER is the name of a layer, or the number of a convolution, from 1; the table of layers shows both.
P is a picture file, or a data set and a number: mnist:17 (test split), digits:train/3."""

_LAYERS = "The network (without any option: the table of layers)"
_ANSWERS = "Its predictions"
_WITH = "Pictures"
_HOW = "Details"


def inspect(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Model file or run folder.", show_default=False)],
    *,
    sizes: Annotated[
        bool, typer.Option("--sizes", help="Compute O = (W − F + 2P) / S + 1 for each layer.", rich_help_panel=_LAYERS)
    ] = False,
    graph: Annotated[
        bool, typer.Option("--graph", help="Draw the computation, as SVG and PNG.", rich_help_panel=_LAYERS)
    ] = False,
    backward: Annotated[
        bool,
        typer.Option("--backward", help="With --graph: draw the gradients of one loss.", rich_help_panel=_LAYERS),
    ] = False,
    filters: Annotated[
        str | None,
        typer.Option(metavar="LAYER", help="Draw the kernels.", show_default=False, rich_help_panel=_LAYERS),
    ] = None,
    film: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER",
            help="Film the training (of a run with train --snapshots); needs --picture.",
            show_default=False,
            rich_help_panel=_LAYERS,
        ),
    ] = None,
    feature_maps: Annotated[
        str | None,
        typer.Option(
            metavar="LAYER",
            help="Draw the feature maps of a picture; needs --picture.",
            show_default=False,
            rich_help_panel=_ANSWERS,
        ),
    ] = None,
    activations: Annotated[
        bool,
        typer.Option(
            "--activations", help="Draw activation statistics and dead units; needs --data.", rich_help_panel=_ANSWERS
        ),
    ] = False,
    top_activations: Annotated[
        str | None,
        typer.Option(
            "--top-activations",
            metavar="LAYER",
            help="Draw the pictures that activate each unit most; needs --data.",
            show_default=False,
            rich_help_panel=_ANSWERS,
        ),
    ] = None,
    why: Annotated[
        bool,
        typer.Option(
            "--why",
            help="Explain a prediction; needs --picture. With --data, also show similar training pictures.",
            rich_help_panel=_ANSWERS,
        ),
    ] = False,
    attention: Annotated[
        bool,
        typer.Option(
            "--attention", help="Draw the attention of a transformer; needs --picture.", rich_help_panel=_ANSWERS
        ),
    ] = False,
    linear_probe: Annotated[
        str | None,
        typer.Option(
            "--linear-probe",
            metavar="A,B",
            help="Draw how well each layer separates two classes; needs --data.",
            show_default=False,
            rich_help_panel=_ANSWERS,
        ),
    ] = None,
    embedding: Annotated[
        bool,
        typer.Option(
            "--embedding", help="Draw a map of the data with errors marked; needs --data.", rich_help_panel=_ANSWERS
        ),
    ] = False,
    picture: Annotated[
        str | None,
        typer.Option(metavar="P", help="Picture file, or DATA:NUMBER.", show_default=False, rich_help_panel=_WITH),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Name of a data set, or a folder.",
            show_default=False,
            autocompletion=completion.datasets,
            rich_help_panel=_WITH,
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Split; default: test for --linear-probe and --embedding, otherwise train.",
            show_default=False,
            rich_help_panel=_WITH,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of the random sample of pictures.", show_default=False, rich_help_panel=_WITH),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Maximum number of kernels, maps, layers or pictures.",
            show_default=False,
            rich_help_panel=_HOW,
        ),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            help="Range of one colour scale: filter or layer; for maps, map or layer.",
            show_default=False,
            rich_help_panel=_HOW,
        ),
    ] = None,
    unit: Annotated[
        list[int] | None,
        typer.Option(
            help="With --top-activations: number of a unit, from 1. Repeatable.",
            show_default=False,
            rich_help_panel=_HOW,
        ),
    ] = None,
    about: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="NAME",
            help="With --why: class to explain; default: the predicted class.",
            show_default=False,
            rich_help_panel=_HOW,
        ),
    ] = None,
    details: Annotated[
        bool, typer.Option("--details", help="With --why: print the measures behind it.", rich_help_panel=_HOW)
    ] = False,
    method: Annotated[
        str | None, typer.Option(help="With --embedding: tsne or pca.", show_default=False, rich_help_panel=_HOW)
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: beside the model.", show_default=False)
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="The class of your own network: file.py:Class.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as one JSON document.")] = False,
) -> None:
    """Look inside a model: layers, graph, kernels, feature maps, activations, explanations."""
    from pellucid.records import Figure, Findings, Model

    values_by_view: dict[str, Any] = {
        "graph": graph or backward,
        "filters": filters,
        "feature_maps": feature_maps,
        "activations": activations,
        "top_activations": top_activations,
        "why": why,
        "attention": attention,
        "linear_probe": linear_probe,
        "embedding": embedding,
        "film": film,
    }
    further: dict[str, Any] = {
        "limit": limit,
        "scale": scale,
        "split": split,
        "seed": seed,
        "unit": unit or None,
        "about": about,
        "method": method,
        "backward": backward or None,
        "details": details or None,
    }
    views_to_draw = [name for name, value in values_by_view.items() if value not in (None, False)]
    views.check(views_to_draw, further, picture, data, out)
    loaded = Model.load(model)

    from pellucid import insight
    from pellucid.cli import console

    tables = Findings()
    figures: list[Figure] = []
    source = None if data is None else _load(data, model)
    for name in views_to_draw:
        arguments = {key: value for key, value in further.items() if key in views.VIEWS[name].takes}
        arguments.pop("details", None)
        if "unit" in arguments:
            arguments["units"] = arguments.pop("unit")
        arguments["network"] = network
        if views.VIEWS[name].picture != "no":
            arguments["picture"] = picture
        if views.VIEWS[name].data != "no":
            arguments["data"] = source
        with console.progress(views.VIEWS[name].option.strip("-"), quiet=as_json) as advance:
            if name in ("activations", "top_activations", "why", "linear_probe", "embedding", "film"):
                arguments["progress"] = advance
            findings = views.compute(name, loaded, values_by_view[name], arguments, model)
        tables += [item for item in findings if not isinstance(item, Figure)]
        for figure in [item for item in findings if isinstance(item, Figure)]:
            figures.append(figure)
            for path in views.files(name, figure, model, out):
                (console.say if as_json else typer.echo)(console.plain(str(_draw(figure, path))))
    if not views_to_draw:
        tables = insight.summary(loaded, network)
    if sizes:
        tables += insight.sizes(loaded, network)
    _print(tables, figures, details=details, as_json=as_json)


def _print(tables: Findings, figures: list[Figure], *, details: bool, as_json: bool) -> None:
    """Prints the tables; how far an explanation can be trusted in words, unless the measures are wanted."""
    from pellucid.cli import console
    from pellucid.records import Findings

    if as_json:
        console.emit(tables + figures, as_json=True)
        return
    if "faithfulness" in tables and not details:
        from pellucid.insight.explanation import in_words

        typer.echo("\n".join(["", *in_words(tables["faithfulness"]), "For the measures: --details."]))
        tables = Findings(tuple(item for item in tables if item.name != "faithfulness"), tables.title)
    if tables.items:
        console.emit(tables, as_json=False)


def _load(data: str, model: Path) -> Any:
    """Loads a data set and prints its notes, except those that the training printed."""
    from pellucid.cli import console
    from pellucid.data import load

    dataset = load(data)
    console.notes_of_data(dataset.notes, model)
    return dataset


def _draw(figure: Figure, path: Path) -> Path:
    from pellucid.errors import UsageError
    from pellucid.records import display

    draw = display.view("figure")
    if draw is None:
        raise UsageError(
            "The report package is not installed, so nothing can be drawn. --json alone prints the layers."
        )
    return draw(figure, path)
