"""`max_error`: the model abstains, and says on how many pictures the threshold was chosen."""

import numpy as np
import pytest

import pellucid
from pellucid.errors import UsageError
from pellucid.training.plan import make_plan
from pellucid.training.training import learn


def dataset(n: int, noise: float):
    """Grey pictures of two kinds, dark and bright; with `noise`, some are in between."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, n)
    levels = 60 + 130 * labels + generator.normal(0, noise, n)
    pixels = np.clip(levels[:, None, None, None] + generator.normal(0, 5, (n, 1, 6, 6)), 0, 255).astype(np.uint8)
    return pellucid.from_arrays(pixels, labels, test=0.3)


def test_the_threshold_keeps_the_error_on_the_test_split() -> None:
    data = dataset(9000, 55)
    plan = make_plan(data, "logistic-regression", epochs=2, max_error=0.05, validation_fraction=0.4)
    training = learn(data, plan, progress=False)
    below = training.model.specification.abstain_below
    assert below is not None
    assert 0.5 < below < 1
    assert any("The error of accepted answers stays below 5 %, with 95 % confidence" in note for note in training.notes)
    findings = pellucid.evaluate(pellucid.predict(training.model, data.test))
    assert findings["accuracy"].value < 0.95
    assert findings["accuracy_of_accepted"].value > 0.94
    assert findings["accepted"].value > 0.4
    assert "accepted" not in pellucid.evaluate(
        pellucid.predict(pellucid.train(data, "logistic-regression", epochs=1, progress=False), data.test)
    )


def test_too_few_validation_pictures_leave_a_model_that_never_abstains() -> None:
    data = dataset(300, 10)
    training = learn(data, make_plan(data, "logistic-regression", epochs=1, max_error=0.01), progress=False)
    assert training.model.specification.abstain_below is None
    assert any("At least 299 right answers without a wrong one are needed" in note for note in training.notes)


@pytest.mark.parametrize("max_error", [0, 1, -0.1, "many"])
def test_what_is_no_share_is_refused(max_error: object) -> None:
    with pytest.raises(UsageError, match="max error was given as"):
        make_plan(dataset(50, 10), "logistic-regression", max_error=max_error)
