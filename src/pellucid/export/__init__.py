"""A model as one file that runs without Pellucid, checked against the model before it is written."""
