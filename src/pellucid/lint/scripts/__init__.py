"""Rules for training scripts, and how a script is read without being run."""
