"""The views of `pellucid inspect`: their options, what they need, and the functions that compute them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pellucid.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from pellucid.records import Figure, Findings

Need = Literal["no", "can", "must"]


@dataclass(frozen=True)
class View:
    """A view.

    Attributes:
        option: option of the command line.
        picture, data: whether the view can or must have them.
        takes: further options of the view.
        formats: suffixes of files, preferred ones first.
        usual: number of formats that are written without `--out`.
        names: makes the end of the file's name from the figure's data.
    """

    option: str
    picture: Need = "no"
    data: Need = "no"
    takes: frozenset[str] = frozenset()
    formats: tuple[str, ...] = (".png",)
    usual: int = 1
    names: Callable[[Mapping[str, Any]], str] = lambda _: ""


def _id(data: Mapping[str, Any]) -> str:
    return str(Path(str(data["picture"]["id"])).with_suffix(""))


_DATA = frozenset({"limit", "split", "seed"})

VIEWS: dict[str, View] = {
    "graph": View(
        "--graph",
        picture="can",
        takes=frozenset({"backward"}),
        formats=(".svg", ".png"),
        usual=2,
        names=lambda data: "graph-backward" if data["backward"] else "graph",
    ),
    "filters": View(
        "--filters",
        takes=frozenset({"scale", "limit"}),
        names=lambda data: f"{data['layer']}-filters",
    ),
    "feature_maps": View(
        "--feature-maps",
        picture="must",
        takes=frozenset({"scale", "limit"}),
        names=lambda data: f"{data['layer']}-maps-{_id(data)}",
    ),
    "activations": View(
        "--activations",
        data="must",
        takes=_DATA,
        names=lambda _: "activations",
    ),
    "top_activations": View(
        "--top-activations",
        data="must",
        takes=_DATA | {"unit"},
        names=lambda data: f"{data['layer']}-top-activations",
    ),
    "why": View(
        "--why",
        picture="must",
        data="can",
        takes=_DATA | {"about", "details"},
        names=lambda data: f"why-{_id(data)}",
    ),
    "attention": View(
        "--attention",
        picture="must",
        takes=frozenset({"limit"}),
        names=lambda data: f"attention-{_id(data)}",
    ),
    "linear_probe": View(
        "--linear-probe",
        data="must",
        takes=_DATA,
        names=lambda data: "linear-probe-" + "-".join(data["classes"]),
    ),
    "embedding": View(
        "--embedding",
        data="must",
        takes=_DATA | {"method"},
        names=lambda data: f"embedding-{data['method']}",
    ),
    "film": View(
        "--film",
        picture="must",
        takes=frozenset({"limit"}),
        formats=(".webp", ".png", ".gif"),
        usual=2,
        names=lambda _: "film",
    ),
}
"""Views in the order in which they are drawn."""

_OPTIONS = {
    "limit": "--limit",
    "scale": "--scale",
    "split": "--split",
    "seed": "--seed",
    "unit": "--unit",
    "about": "--class",
    "method": "--method",
    "backward": "--backward",
    "details": "--details",
}

SCALES = {"filters": ("layer", "filter"), "feature_maps": ("layer", "map")}
METHODS = ("tsne", "pca")


def check(
    views_to_draw: list[str], options: Mapping[str, Any], picture: str | None, data: str | None, out: Path | None
) -> None:
    """Refuses options that do not go together, before anything heavy is imported.

    Args:
        views_to_draw: names of views.
        options: further options; None for those not given.
        picture: --picture.
        data: --data.
        out: --out.

    Raises:
        UsageError: options do not fit; the text says what to type.
        UnknownNameError: a scale or method is unknown.
    """
    for name in views_to_draw:
        view = VIEWS[name]
        if view.picture == "must" and picture is None:
            raise UsageError(
                f"{view.option} needs a picture: --picture FILE, or one of a data set, --picture mnist:17."
            )
        if view.data == "must" and data is None:
            raise UsageError(
                f"{view.option} needs pictures: --data DATA, the name of a data set or a folder of class folders."
            )
    for option, value, takers in (
        ("--picture", picture, [view for view in VIEWS.values() if view.picture != "no"]),
        ("--data", data, [view for view in VIEWS.values() if view.data != "no"]),
        *(
            (_OPTIONS[key], value, [view for view in VIEWS.values() if key in view.takes])
            for key, value in options.items()
        ),
    ):
        if value in (None, False) or any(VIEWS[name] in takers for name in views_to_draw):
            continue
        names = [view.option for view in takers]
        listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
        raise UsageError(f"{option} is for {listed}, which {'was' if len(names) == 1 else 'were'} not given.")
    _check_scale(views_to_draw, options.get("scale"))
    if (method := options.get("method")) is not None and method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    if out is not None:
        _check_out(views_to_draw, out)


def _check_scale(views_to_draw: list[str], scale: str | None) -> None:
    if scale is None:
        return
    fits = [SCALES[name] for name in views_to_draw if name in SCALES]
    known = [one for one in fits[0] if all(one in other for other in fits)]
    if scale in ("filter", "map") and scale not in known:
        what = (
            "kernels and maps in one go take" if len(fits) > 1 else f"{'kernels' if 'filter' in known else 'maps'} take"
        )
        raise UsageError(f"--scale {scale} does not fit here: {what} --scale {' or --scale '.join(known)}.")
    if scale not in known:
        raise UnknownNameError("scale", scale, known)


def _check_out(views_to_draw: list[str], out: Path) -> None:
    if not views_to_draw:
        raise UsageError("--out needs a view to draw, for example --graph or --filters LAYER.")
    if len(views_to_draw) > 1:
        options = [VIEWS[name].option for name in views_to_draw]
        raise UsageError(f"--out is one file, but {' and '.join(options)} are several pictures. Draw them one by one.")
    formats = VIEWS[views_to_draw[0]].formats
    if out.suffix.lower() not in formats:
        kinds = " or ".join(one[1:].upper() for one in formats)
        raise UsageError(f"The picture is a {kinds} file, but --out is '{out.name}'. Try --out {out.stem}{formats[0]}.")


def files(name: str, figure: Figure, model: Path, out: Path | None) -> list[Path]:
    """Files for a view: `--out`, or files beside the model, such as `lenet5-c1-maps-mnist-test-17.png`."""
    if out is not None:
        return [out]
    view = VIEWS[name]
    beside = model if model.is_dir() else model.parent
    stem = re.sub(r"[^\w.]+", "-", f"{figure.data['network']}-{view.names(figure.data)}").strip("-.").lower()[:100]
    return [beside / f"{stem}{ending}" for ending in view.formats[: view.usual]]


def compute(name: str, model: Any, request: Any, arguments: Mapping[str, Any], folder: Path) -> Findings:
    """Computes the findings of a view.

    Args:
        name: name of the view.
        model: the model.
        request: value of the view's option, such as a layer.
        arguments: arguments of the view's function in `insight`.
        folder: the run folder, for the film.
    """
    from pellucid import insight
    from pellucid.records import Dataset, Findings, Model

    assert isinstance(model, Model)
    options = {key: value for key, value in arguments.items() if value is not None}
    picture, data = options.pop("picture", None), options.pop("data", None)
    if name == "graph":
        return Findings((insight.graph(model, picture=picture, **options),))
    if name == "filters":
        return Findings((insight.filters(model, request, **options),))
    if name == "feature_maps":
        return Findings((insight.feature_maps(model, request, picture, **options),))
    if name == "activations":
        return insight.activations(model, data, **options)
    if name in ("top_activations", "why") and data is not None:
        data = data.split(options.pop("split", "train")) if isinstance(data, Dataset) else data
    if name == "top_activations":
        return Findings((insight.top_activations(model, request, data, **options),))
    if name == "why":
        return insight.explain(model, picture, data=data, **options)
    if name == "attention":
        return Findings((insight.attention(model, picture, **options),))
    if name == "linear_probe":
        return insight.linear_probe(model, _two_names(request), data, **options)
    if name == "embedding":
        return insight.embedding(model, data, **options)
    assert name == "film"
    return Findings((insight.film(folder, picture, layer=request, **options),))


def _two_names(text: str) -> tuple[str, str]:
    """Splits `4,9` into two names."""
    names = [one.strip() for one in text.split(",")]
    if len(names) != 2 or not all(names) or names[0] == names[1]:
        raise UsageError(
            f"--linear-probe takes two classes separated by a comma; given: {text}. Try --linear-probe 4,9."
        )
    return names[0], names[1]
