"""A small worked example of each operation, as a figure: what is drawn is computed by the operation itself."""
