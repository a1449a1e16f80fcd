"""A realistic run, made without any training of ours: scikit-learn's logistic regression on its digits."""

import json

import numpy as np
import pytest

from pellucid.evaluation import evaluate
from pellucid.records import Dataset, Predictions, RunFolder, Split


@pytest.fixture(scope="session")
def digits():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw = load_digits()
    images = np.round(raw.images * 255 / 16).astype(np.uint8)[:, None]
    names = tuple(str(name) for name in raw.target_names)
    train, test = train_test_split(np.arange(len(images)), test_size=0.2, random_state=0, stratify=raw.target)
    splits = {
        name: Split(name, images[places], raw.target[places].astype(np.int64), names, dataset="digits")
        for name, places in (("train", train), ("test", test))
    }
    return Dataset("digits", splits, description="Handwritten digits of 43 people, 8×8 pixels (scikit-learn).")


@pytest.fixture(scope="session")
def predictions(digits):
    from sklearn.linear_model import LogisticRegression

    flat = {split.name: split.pictures.reshape(len(split), -1) / 255 for split in digits}
    model = LogisticRegression(C=0.02, max_iter=500).fit(flat["train"], digits.train.labels)
    probabilities = model.predict_proba(flat["test"]).astype(np.float32)
    return Predictions(
        digits.test.ids, probabilities, digits.classes, digits.test.labels, dataset="digits", split="test"
    )


@pytest.fixture(scope="session")
def findings(predictions, digits):
    return evaluate(predictions, digits.test)


@pytest.fixture(scope="session")
def hundred_classes():
    """Findings of a poor model of 100 classes with 8 test pictures each."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(100), 8)
    logits = random.normal(size=(800, 100)) + 2 * np.eye(100)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    ids = np.array([f"hundred/{i}" for i in range(800)])
    classes = tuple(f"c{i:02}" for i in range(100))
    return evaluate(
        Predictions(ids, probabilities.astype(np.float32), classes, labels, dataset="hundred", split="test")
    )


def made_up_rows(epochs):
    """A plausible history: the training goes on to learn by heart after the middle."""
    return [
        {
            "epoch": epoch,
            "step": 23 * epoch,
            "learning_rate": 0.01,
            "train_loss": 2.1 * 0.62**epoch + 0.01,
            "train_accuracy": 1 - 0.7 * 0.55**epoch,
            "validation_loss": 2.1 * 0.66**epoch + 0.06 + 0.004 * epoch,
            "validation_accuracy": 0.985 - 0.69 * 0.55**epoch,
        }
        for epoch in range(1, epochs + 1)
    ]


ABOUT = {
    "version": 1,
    "command": "pellucid train digits --network convnet --epochs 12 --seed 0",
    "data": {
        "name": "digits",
        "fingerprint": "3f9a17c2b5d8e6044c1de2f7a8b90c1d2e3f405162738495a6b7c8d9e0f1a2b3",
        "description": "Handwritten digits of 43 people, 8×8 pixels (scikit-learn).",
        "classes": list("0123456789"),
        "sizes": {"train": 1293, "validation": 144, "test": 360},
        "notes": ["144 pictures of the training split were set aside for validation."],
    },
    "network": {"name": "convnet", "settings": {"kernels": [16, 32]}, "source": "", "parameters": 29034, "notes": []},
    "recipe": {
        "epochs": 12,
        "batch_size": 64,
        "optimizer": {"name": "adamw", "weight_decay": 0.01},
        "loss": "cross-entropy",
    },
    "seed": 0,
    "threads": 2,
    "versions": {"pellucid": "0.1.0", "python": "3.11.9", "torch": "2.14.1", "numpy": "2.4.6"},
    "platform": "Linux-6.1-x86_64",
    "chosen_epoch": 9,
    "interrupted": False,
    "preprocessing": {"channels": 1, "height": 8, "width": 8, "fit": "stretch", "scaling": "standard"},
}


def as_csv(rows):
    columns = list(rows[0])
    lines = [",".join(columns), *(",".join(str(row[column]) for column in columns) for row in rows)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def rows_of():
    return made_up_rows


@pytest.fixture(scope="session")
def about():
    return ABOUT


@pytest.fixture(scope="session")
def make_run(findings):
    """Makes the folder of a run that was trained and scored, and has no report yet."""

    def make(folder):
        run = RunFolder(folder / "digits-convnet-001")
        run.path.mkdir()
        run.run_json.write_text(json.dumps(ABOUT), encoding="utf-8")
        run.findings.write_text(findings.dumps(), encoding="utf-8")
        run.history.write_text(as_csv(made_up_rows(12)), encoding="utf-8")
        return run

    return make


@pytest.fixture
def run(tmp_path, make_run):
    return make_run(tmp_path)
