"""Each of a user's mistakes gets one clear sentence, a non-zero exit code, and no traceback."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pellucid.cli.commands import COMMANDS
from pellucid.errors import UsageError
from pellucid.records import Model, atomic

TRAIN = ["--network", "logistic-regression", "--epochs", 1, "--quiet", "--no-report"]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_unknown_network(pellucid):
    done = pellucid("train", "digits", "--network", "lenet")
    assert done.code == 2
    assert done.sentence.startswith("There is no network named 'lenet'. Did you mean 'lenet5'?")


def test_unknown_data(pellucid):
    done = pellucid("train", "digts", *TRAIN)
    assert done.code == 2
    assert done.sentence.startswith("There is no data set named 'digts'. Did you mean 'digits'?")


def test_missing_folder(pellucid):
    done = pellucid("train", "photos/", *TRAIN)
    assert done.code == 1
    assert done.sentence.startswith("There is no folder at photos/.")


@pytest.mark.parametrize("epochs", [-3, 0])
def test_epoch_count_that_cannot_be(pellucid, epochs):
    done = pellucid("train", "digits", "--network", "convnet", "--epochs", epochs)
    assert done.code == 2
    assert done.sentence == f"epochs was given as {epochs}, but should be greater than or equal to 1."


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--optimizer", "adm"], "Did you mean 'adam'?"),
        (["--loss", "crossentropy"], "Did you mean 'cross-entropy'?"),
        (["--schedule", "cosin"], "Did you mean 'cosine'?"),
        (["--scaling", "standart"], "standart"),
        (["--augment", "flp"], "Did you mean 'flip'?"),
        (["--recipe", "plan"], "Did you mean 'plain'?"),
        (["--recipe-set", "epoch=3"], "Did you mean 'epochs'?"),
        (["--recipe-set", "epochs"], "expects KEY=VALUE"),
        (["--set", "widths=3"], "has no settings"),
        (["--learning-rate", "-1"], "learning rate was given as -1.0"),
        (["--batch-size", "0"], "batch size was given as 0"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_settings_that_make_no_sense(pellucid, arguments, part):
    done = pellucid("train", "digits", *TRAIN, *arguments)
    assert done.code == 2
    assert part in done.sentence
    assert not list(Path("runs").glob("*"))


def test_without_a_network_a_default_is_trained_and_named(pellucid):
    done = pellucid("train", "digits", "--epochs", 1, "--no-report", "--out", "run")
    assert done.code == 0
    assert "The network is convnet; to choose another: --network NAME" in done.out
    assert Model.load("run").specification.network.name == "convnet"


def test_network_file_that_is_not_there(pellucid):
    done = pellucid("train", "digits", *TRAIN, "--network", "mynet.py:Net")
    assert done.code == 1
    assert done.sentence == "There is no file mynet.py, so the network 'Net' cannot be loaded."


def test_empty_folder(pellucid):
    Path("empty").mkdir()
    done = pellucid("train", "empty", *TRAIN)
    assert done.code == 1
    assert "empty" in done.sentence


def test_folder_with_one_class(pellucid, class_folders):
    shutil.copytree(class_folders / "dark", "one/dark")
    done = pellucid("train", "one", *TRAIN)
    assert done.code == 1
    assert "dark" in done.sentence
    assert "two" in done.sentence


def test_missing_split(pellucid, model_file):
    done = pellucid("evaluate", model_file, "digits", "--split", "holdout")
    assert done.code == 1
    assert done.sentence == (
        "The dataset 'digits' has no holdout split; it has train and test. Choose one of them, for example train."
    )


def test_text_file_named_jpg_in_a_folder_is_named_and_left_out(pellucid, class_folders):
    shutil.copytree(class_folders, "photos")
    Path("photos/dark/liar.jpg").write_text("I am a text file.", encoding="utf-8")
    done = pellucid("train", "photos", *TRAIN)
    assert done.code == 0
    assert "liar.jpg" in done.err


def test_folder_of_nothing_but_text_files_named_jpg(pellucid):
    for name in ("ants", "bees"):
        Path("photos", name).mkdir(parents=True)
        Path("photos", name, "liar.jpg").write_text("I am a text file.", encoding="utf-8")
    done = pellucid("train", "photos", *TRAIN)
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "liar.jpg" in done.err


@pytest.mark.parametrize("command", [["info"], ["predict", "x.png"], ["evaluate", "digits"]])
def test_model_file_cut_in_half(pellucid, model_file, command):
    content = model_file.read_bytes()
    Path("half.safetensors").write_bytes(content[: len(content) // 2])
    done = pellucid(command[0], "half.safetensors", *command[1:])
    assert done.code == 1
    assert done.sentence.startswith("half.safetensors is ")
    assert "cut off" in done.sentence


def test_pickle_renamed_safetensors(pellucid):
    Path("model.safetensors").write_bytes(pickle.dumps({"weights": [1.0]}))
    done = pellucid("info", "model.safetensors")
    assert done.code == 1
    assert done.sentence.startswith("model.safetensors is a pickle, not a safetensors file.")


def test_model_that_is_not_there(pellucid):
    done = pellucid("info", "model.safetensors")
    assert done.sentence == "There is no model file at model.safetensors. `pellucid train DATA` makes one."


def test_network_too_deep_for_the_pictures(pellucid):
    Path("deep.py").write_text(
        "from torch import nn\n\n\n"
        "class Deep(nn.Sequential):\n"
        "    def __init__(self, classes):\n"
        "        super().__init__(*[nn.MaxPool2d(2) for _ in range(4)], nn.Flatten(), nn.LazyLinear(classes))\n",
        encoding="utf-8",
    )
    done = pellucid("train", "digits", *TRAIN, "--network", "deep.py:Deep")
    assert done.code == 1
    assert "Deep does not run on pictures of shape (C, H, W) = (1, 8, 8)" in done.sentence
    assert "too deep" in done.sentence
    assert not list(Path("runs").glob("*"))


def test_run_folder_that_is_there_already(pellucid):
    Path("mine").mkdir()
    done = pellucid("train", "digits", *TRAIN, "--out", "mine")
    assert done.code == 1
    assert done.sentence.startswith("mine exists already, and a run is never overwritten.")


def test_no_disk_space(pellucid, monkeypatch, model_file, scans):
    """The disk is full from the moment that a file is to be made durable: what an ENOSPC of the system looks like."""

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", full)
    done = pellucid("predict", model_file, scans / "a.png", "--out", "found.csv")
    assert done.code == 1
    assert done.sentence == (
        "The disk is full: found.csv could not be written. Free some space, or choose another folder."
    )
    assert list(Path.cwd().iterdir()) == []
    done = pellucid("train", "digits", *TRAIN)
    assert done.code == 1
    assert done.sentence.startswith("The disk is full: ")


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
from pellucid.cli import main
main(sys.argv[1:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of files")
def test_a_file_that_the_system_will_not_let_grow(model_file, scans):
    """A real refusal of a real write: no file may be larger than a thousand bytes."""
    program = [sys.executable, "-c", LIMITED, "predict", str(model_file), str(scans / "a.png")]
    program += ["--out", "found.parquet"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, encoding="utf-8")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(Path.cwd().iterdir()) == []


def test_a_disk_that_is_really_full():
    """A file system of 16 kilobytes, in a mount namespace of its own, which is gone when the command ends."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here, and so no small file system without being the system's owner")
    Path("full").mkdir()
    mount = 'mount -t tmpfs -o size=16k tmpfs full && cd full || exit 77; exec "$@"'
    command = [sys.executable, "-m", "pellucid.cli", "train", "digits", *map(str, TRAIN), "--network", "mlp"]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", *command],
        capture_output=True,
        text=True,
        check=False,
        encoding="utf-8",
    )
    if done.returncode == 77 or "unshare:" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 1
    assert done.stderr.startswith("The disk is full: ")
    assert len(done.stderr.splitlines()) == 1


AS_ORDINARY_USER = """
import os, sys
from pellucid.cli import main
photos, locked, warm = sys.argv[1:]
arguments = ["train", photos, "--network", "logistic-regression", "--epochs", "1", "--quiet", "--no-report"]
try:
    main([*arguments, "--out", warm])  # all that is imported is imported by then: root's own files are closed to others
except SystemExit as end:
    assert not end.code, end.code
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
os.chdir(locked)
print("now", file=sys.stderr)
main(arguments)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_no_write_permission_as_an_ordinary_user(class_folders):
    """Root ignores permissions, so the command stops being root before it writes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        shutil.copytree(class_folders, folder / "photos")
        for path in (folder / "photos").rglob("*"):
            path.chmod(0o755)
        (folder / "photos").chmod(0o755)
        locked = folder / "locked"
        locked.mkdir()
        locked.chmod(0o555)
        program = [sys.executable, "-c", AS_ORDINARY_USER, *map(str, (folder / "photos", locked, folder / "warm"))]
        done = subprocess.run(program, capture_output=True, text=True, check=False, encoding="utf-8")
        left = list(locked.iterdir())
        locked.chmod(0o755)
    assert done.returncode == 1
    said = done.stderr.partition("now\n")[2].splitlines()
    assert [line for line in said if not line.startswith("Note: ")] == [
        "runs is not writable. Choose a folder of your own (--out)."
    ]
    assert left == []


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("train", "digits", "--lr", "0.1"), "(Possible options: --learning-rate)"),
        (("train", "digits", "--bs", "8"), "(Possible options: --batch-size)"),
        (("train", "digits", "--workers", "2"), "(Possible options: --threads)"),
        (("train", "digits", "--val-split", "0.1"), "(Possible options: --recipe-set validation_fraction=0.1)"),
        (("label", "MODEL", "photos", "--count", "3"), "(Possible options: --top)"),
        (("sort", "MODEL", "photos", "--into", "sorted"), "(Possible options: --out)"),
        (("check", "photos", "--report", "check.html"), "(Possible options: --out)"),
        (("train", "digits", "--network", "mlp", "--recipe-set", "lr=0.1"), "Did you mean 'learning_rate'?"),
        (("train", "CIFAR-10", "--network", "mlp"), "Did you mean 'cifar10'?"),
        (("train", "cifar_100", "--network", "mlp"), "Did you mean 'cifar100'?"),
        (("train", "digits", "--network", "le-net-5"), "Did you mean 'lenet5'?"),
        (("train", "digits", "--network", "LeNet5"), "Did you mean 'lenet5'?"),
        (("train", "digits", "--network", "ResNet18"), "timm has such networks: try timm:resnet18."),
    ],
)
def test_what_other_tools_call_it_finds_ours(pellucid, words, meant):
    done = pellucid(*words)
    assert done.code == 2
    assert meant in done.err


def test_python_finds_the_names_of_other_tools_too():
    import pellucid as library

    for name, meant in (("lr", "learning_rate"), ("bs", "batch_size"), ("val_split", "validation_fraction")):
        with pytest.raises(UsageError, match=f"Did you mean '{meant}'"):
            library.train(library.load("digits"), "mlp", **{name: 1}, progress=False)
    with pytest.raises(UsageError, match="Pellucid loads pictures without worker processes; leave it out"):
        library.train(library.load("digits"), "mlp", num_workers=4, progress=False)


def test_a_number_of_results_and_a_result_are_called_the_same_everywhere():
    """`--top` is a number of results, `--out` is what a command writes."""
    from pellucid.cli import app

    others = {"--count", "--number", "-n", "--topk", "--k", "--into", "--output", "--to", "--dest", "--save"}
    for name in COMMANDS:
        options = {text for parameter in app._load(name).params for text in parameter.opts}
        if name == "export":
            options -= {"--to"}  # the format, not where it is written
        assert not options & others, name


def test_every_synonym_means_something_that_there_is():
    from pellucid.cli.app import OPTION_SYNONYMS
    from pellucid.training.recipes import SETTING_SYNONYMS, Recipe

    assert set(SETTING_SYNONYMS.values()) <= set(Recipe.model_fields)
    assert not set(SETTING_SYNONYMS) & set(Recipe.model_fields)
    for words in OPTION_SYNONYMS.values():
        option, _, value = words.partition(" ")
        if option == "--recipe-set":
            assert value.partition("=")[0] in Recipe.model_fields


MISSING = [
    ("check", "missing/"),
    ("train", "missing/"),
    ("train", "digits", "--network", "missing.py:Net"),
    ("train", "digits", "--network", "convnet", "--from", "missing.safetensors"),
    ("train", "--resume", "missing"),
    ("tune", "missing/", "--network", "mlp"),
    ("tune", "--resume", "missing"),
    ("evaluate", "missing.safetensors", "digits"),
    ("evaluate", "MODEL", "missing/"),
    ("evaluate", "MODEL", "digits", "--network", "missing.py:Net"),
    ("audit", "missing.safetensors", "digits"),
    ("audit", "missing.csv"),
    ("audit", "MODEL", "missing/"),
    ("relabel", "digits", "missing.csv"),
    ("predict", "missing.safetensors", "a.png"),
    ("predict", "MODEL", "missing.png"),
    ("label", "MODEL", "missing/"),
    ("sort", "MODEL", "missing/", "--out", "sorted"),
    ("export", "missing.safetensors"),
    ("export", "MODEL", "--data", "missing/"),
    ("info", "missing"),
    ("inspect", "missing"),
    ("inspect", "MODEL", "--why", "--picture", "missing.png"),
    ("inspect", "MODEL", "--embedding", "--data", "missing/"),
    ("lint", "missing.py"),
    ("lint", "missing.py:Net"),
    ("runs", "missing"),
    ("compare", "missing", "other"),
    ("show", "missing/"),
    ("report", "missing"),
]


@pytest.mark.parametrize("arguments", [words for words in MISSING if words[0] in COMMANDS], ids=" ".join)
def test_a_missing_path_has_one_exit_code_in_every_command(pellucid, model_file, arguments):
    done = pellucid(*(str(model_file) if word == "MODEL" else word for word in arguments))
    assert done.code == 1
    assert "missing" in done.sentence


def test_every_command_that_takes_a_path_is_among_them():
    assert set(COMMANDS) - {words[0] for words in MISSING} == {"datasets", "cache", "networks"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "digits", "--network", "mlp", "--out", "here"),
        ("tune", "digits", "--network", "mlp", "--out", "here"),
        ("evaluate", "MODEL", "digits", "--out", "here"),
        ("audit", "MODEL", "digits", "--out", "here"),
    ],
    ids=lambda words: words[0],
)
def test_an_existing_folder_is_refused_before_the_work(pellucid, model_file, monkeypatch, arguments):
    Path("here").mkdir()
    monkeypatch.setattr("pellucid.data.load", lambda *_, **__: pytest.fail("the data were loaded"))
    done = pellucid(*(str(model_file) if word == "MODEL" else word for word in arguments))
    assert done.code == 1
    assert done.sentence.startswith("here exists already, and ")
    assert not list(Path("here").iterdir())
