"""A small worked example of each operation, whose numbers the operation itself computes."""
