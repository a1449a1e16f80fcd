from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from PIL import Image

import pellucid as package
from pellucid.records import Model, display

draws = pytest.mark.skipif(importlib.util.find_spec("pellucid.report") is None, reason="nothing is here that draws")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A file with a model of the network that has the most to show."""
    model = package.train(package.load("digits"), "lenet5", epochs=1, progress=False)
    return model.save(tmp_path_factory.mktemp("inside") / "model.safetensors")


def is_png(path: Path) -> bool:
    with Image.open(path) as picture:
        return picture.format == "PNG" and min(picture.size) > 200


def test_the_layers_are_listed(pellucid, trained):
    done = pellucid("inspect", trained)
    assert (done.code, done.err) == (0, "")
    found = pellucid("inspect", trained, "--json").findings
    assert found["parameters"]["value"] == 61_706
    assert [row[1] for row in found["layers"]["rows"]][:4] == ["picture", "c1", "activation", "pool"]
    assert "sizes" not in found


@draws
def test_the_layers_are_laid_out_for_a_person(pellucid, trained):
    done = pellucid("inspect", trained, "--sizes")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["1", "c1", "convolution", "5×5", "6×28×28", "156", "117,600", "5×5", "18.82"] in lines
    assert ["–", "output", "dense", "10", "850", "840", "–", "0.04"] in lines
    assert "Parameters            61,706" in done.out
    assert "(n = 0)" not in done.out
    assert "(32 − 5 + 2·0) / 1" in done.out


def test_sizes_are_worked_out_where_they_are_wanted(pellucid, trained):
    found = pellucid("inspect", trained, "--sizes", "--json").findings
    assert found["sizes"]["rows"][0][4] == "(32 − 5 + 2·0) / 1 + 1 = 28"
    assert "layers" in found


@draws
def test_kernels_are_drawn_beside_the_model(pellucid, trained):
    done = pellucid("inspect", trained, "--filters", "c3", "--limit", 4, "--scale", "layer")
    path = trained.with_name("lenet5-c3-filters.png")
    assert (done.code, done.out, done.err) == (0, f"{path}\n", "")
    assert is_png(path)


@draws
def test_maps_are_drawn_beside_the_model(pellucid, trained, scans):
    done = pellucid("inspect", trained, "--feature-maps", 1, "--picture", "digits:7")
    path = trained.with_name("lenet5-c1-maps-digits-test-7.png")
    assert (done.code, done.out, done.err) == (0, f"{path}\n", "")
    assert is_png(path)
    done = pellucid("inspect", trained, "--feature-maps", "pool", "--picture", scans / "d e.png", "--scale", "map")
    assert done.out == f"{trained.with_name('lenet5-pool-maps-d-e.png')}\n"


@draws
def test_both_pictures_in_one_go_and_as_data(pellucid, trained):
    arguments = ["--filters", 1, "--feature-maps", "activation:2", "--picture", "digits:7", "--limit", 3]
    done = pellucid("inspect", trained, *arguments, "--json")
    assert [found["figure"] for found in done.findings.values()] == ["filters", "feature-maps"]
    assert len(done.findings["feature_maps"]["data"]["maps"]) == 3
    names = ["lenet5-c1-filters.png", "lenet5-activation-2-maps-digits-test-7.png"]
    assert done.err.splitlines() == [str(trained.with_name(name)) for name in names]


@draws
def test_the_file_is_called_as_wanted(pellucid, model_file, tmp_path):
    done = pellucid("inspect", model_file, "--filters", "linear", "--out", "weights.png")
    assert (done.code, done.out, done.err) == (0, "weights.png\n", "")
    assert is_png(tmp_path / "weights.png")
    assert "nowhere" in pellucid("inspect", model_file, "--filters", 1, "--out", "nowhere/weights.png").sentence


@draws
def test_a_run_folder_stands_for_its_model(pellucid, trained):
    done = pellucid("inspect", trained.parent, "--filters", 1)
    assert done.out == f"{trained.parent / 'lenet5-c1-filters.png'}\n"


def test_a_network_of_ones_own(pellucid, tmp_path):
    Path("mynet.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(72, 10))\n",
        encoding="utf-8",
    )
    done = pellucid(
        "train", "digits", "--network", "mynet.py:Net", "--epochs", 1, "--quiet", "--no-report", "--out", "mine"
    )
    assert done.code == 0, done.err
    done = pellucid("inspect", "mine", "--network", "mynet.py:Net", "--json")
    assert [row[:3] for row in done.findings["layers"]["rows"]][1] == [1, "0", "convolution 3×3"]


@draws
def test_every_view_is_drawn_beside_the_model(pellucid, trained):
    views = {
        ("--graph",): ["lenet5-graph.svg", "lenet5-graph.png"],
        ("--backward", "--picture", "digits:3", "--out", "back.png"): None,
        ("--activations", "--data", "digits", "--limit", 20): ["lenet5-activations.png"],
        ("--top-activations", "c3", "--data", "digits", "--limit", 30, "--unit", 2): ["lenet5-c3-top-activations.png"],
        ("--linear-probe", "4,9", "--data", "digits", "--limit", 24): ["lenet5-linear-probe-4-9.png"],
        ("--embedding", "--data", "digits", "--limit", 20, "--method", "pca"): ["lenet5-embedding-pca.png"],
        ("--why", "--picture", "digits:3", "--data", "digits", "--limit", 20): ["lenet5-why-digits-test-3.png"],
    }
    for arguments, names in views.items():
        done = pellucid("inspect", trained, *arguments)
        assert (done.code, done.err) == (0, ""), arguments
        paths = [str(trained.with_name(name)) for name in names] if names else ["back.png"]
        assert done.out.splitlines()[: len(paths)] == paths
        assert all(is_png(Path(path)) for path in paths if path.endswith(".png"))
    assert done.out.endswith("For the measures: --details.\n")


@draws
def test_findings_of_views_are_one_document(pellucid, trained):
    done = pellucid("inspect", trained, "--activations", "--data", "digits", "--limit", 10, "--json")
    assert list(done.findings) == ["activations", "activation_histograms"]


@draws
def test_a_training_is_filmed_from_its_snapshots(pellucid, tmp_path):
    arguments = ["--network", "logistic-regression", "--epochs", 1, "--quiet", "--no-report", "--out", "run"]
    done = pellucid("train", "digits", *arguments, "--snapshots")
    assert done.code == 0, done.err
    assert sorted(path.name for path in Path("run/snapshots").iterdir()) == [
        "epoch-0000.safetensors",
        "epoch-0001.safetensors",
    ]
    done = pellucid("inspect", "run", "--film", "1", "--picture", "digits:3")
    names = ["logistic-regression-film.webp", "logistic-regression-film.png"]
    assert done.out.splitlines() == [str(Path("run") / name) for name in names]
    assert is_png(Path("run") / names[1])


def test_help_groups_what_there_is_to_see(pellucid):
    lines = pellucid("inspect", "--help").out.splitlines()
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == [
        "Arguments:",
        "The network (without any option: the table of layers):",
        "Its predictions:",
        "Pictures:",
        "Details:",
        "Options:",
    ]
    options = {word for line in lines for word in line.split() if word.startswith("--")}
    from pellucid.cli import views

    assert {view.option for view in views.VIEWS.values()} <= options


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--feature-maps", "c1"],
            "--feature-maps needs a picture: --picture FILE, or one of a data set, --picture mnist:17.",
        ),
        (
            ["--embedding"],
            "--embedding needs pictures: --data DATA, the name of a data set or a folder of class folders.",
        ),
        (
            ["--picture", "mnist:17"],
            "--picture is for --graph, --feature-maps, --why, --attention and --film, which were not given.",
        ),
        (
            ["--filters", "1", "--data", "digits"],
            (
                "--data is for --activations, --top-activations, --why, --linear-probe and --embedding, "
                "which were not given."
            ),
        ),
        (["--out", "x.png"], "--out needs a view to draw, for example --graph or --filters LAYER."),
        (["--scale", "layer"], "--scale is for --filters and --feature-maps, which were not given."),
        (["--graph", "--unit", "2"], "--unit is for --top-activations, which was not given."),
        (
            ["--filters", "1", "--scale", "flter"],
            "There is no scale named 'flter'. Did you mean 'filter'? Known: filter, layer.",
        ),
        (
            ["--feature-maps", "1", "--picture", "digits:1", "--scale", "filter"],
            "--scale filter does not fit here: maps take --scale layer or --scale map.",
        ),
        (
            ["--filters", "1", "--feature-maps", "1", "--picture", "digits:1", "--scale", "map"],
            "--scale map does not fit here: kernels and maps in one go take --scale layer.",
        ),
        (
            ["--embedding", "--data", "digits", "--method", "umap"],
            "There is no method named 'umap'. Known: pca, tsne.",
        ),
        (
            ["--filters", "1", "--out", "x.jpg"],
            "The picture is a PNG file, but --out is 'x.jpg'. Try --out x.png.",
        ),
        (
            ["--graph", "--out", "x.jpg"],
            "The picture is a SVG or PNG file, but --out is 'x.jpg'. Try --out x.svg.",
        ),
        (
            ["--filters", "1", "--feature-maps", "1", "--picture", "digits:1", "--out", "x.png"],
            "--out is one file, but --filters and --feature-maps are several pictures. Draw them one by one.",
        ),
        (
            ["--linear-probe", "4", "--data", "digits"],
            "--linear-probe takes two classes separated by a comma; given: 4. Try --linear-probe 4,9.",
        ),
        (
            ["--filters", "c2"],
            "There is no convolution named 'c2'. Known: c1, c3. Or give the number of a convolution, 1 to 2.",
        ),
    ],
)
def test_a_mistake_is_one_sentence(pellucid, trained, arguments, sentence):
    done = pellucid("inspect", trained, *arguments)
    assert done.code == 2
    assert done.sentence == sentence


def test_without_a_model_there_is_nothing_to_look_into(pellucid):
    assert pellucid("inspect", "nowhere.safetensors").sentence.startswith("There is no model file at nowhere")


def test_where_nothing_draws_that_is_said(pellucid, trained, monkeypatch):
    monkeypatch.delitem(display.VIEWS, "figure", raising=False)
    done = pellucid("inspect", trained, "--filters", 1)
    assert done.sentence.startswith("The report package is not installed")
    assert Model.load(trained).classes


@draws
def test_an_explanation_is_judged_in_words_and_its_measures_are_details(pellucid, trained):
    command = ("inspect", trained, "--why", "--picture", "digits:3", "--out", "why.png")
    done = pellucid(*command)
    assert done.code == 0
    assert "Occlusion c" in done.out or "Occlusion looks" in done.out or "Occlusion marks" in done.out
    assert done.out.endswith("For the measures: --details.\n")
    assert "deletion" not in done.out
    details = pellucid(*command, "--details").out
    assert "noise deletion" in details
    assert "For the measures" not in details
    assert pellucid("inspect", trained, "--details").sentence == "--details is for --why, which was not given."
