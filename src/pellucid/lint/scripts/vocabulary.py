"""What functions of torch and of its neighbours mean to whoever reads a script: names, without their modules."""

from __future__ import annotations

from pellucid.lint.scripts.tags import LOG_SOFTMAX, LOG_SOFTMAX_LAYER, SOFTMAX, SOFTMAX_LAYER

LAYERS = {"Softmax": SOFTMAX_LAYER, "Softmax2d": SOFTMAX_LAYER, "LogSoftmax": LOG_SOFTMAX_LAYER}
VALUES = {"softmax": SOFTMAX, "log_softmax": LOG_SOFTMAX}
GIVES = {SOFTMAX_LAYER: SOFTMAX, LOG_SOFTMAX_LAYER: LOG_SOFTMAX}
"""What such a layer gives."""

HOLDERS = {"Sequential", "ModuleList"}
LOADERS = {"DataLoader", "StatefulDataLoader"}
SPLITTING = {"train_test_split", "random_split"}
JOINING = {"ConcatDataset", "ChainDataset", "concatenate", "concat", "cat", "vstack", "hstack"}
KEEPING = {"append", "extend", "add"}
"""Methods of lists and sets, which hold from then on what they are given."""

CHOOSERS = {"EarlyStopping", "ModelCheckpoint", "ReduceLROnPlateau"}
"""What looks at the held-out figures while a `fit` goes on, and decides by them."""

STATISTICS = {"mean", "std", "var", "nanmean", "nanstd", "std_mean", "var_mean"}
THE_SAME = {
    "view", "reshape", "squeeze", "flatten", "to", "float", "double", "cpu", "cuda", "clone", "contiguous", "unsqueeze",
}  # fmt: skip
"""They give what they are given, in another form."""

WORDS = {"test": "test", "train": "train", "val": "validation", "valid": "validation", "validation": "validation"}
NO_DATA = {"transform", "target_transform", "transforms", "collate_fn", "generator", "worker_init_fn", "sampler"}
"""Keywords whose values are no data."""
