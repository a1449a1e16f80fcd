"""Learning from what a backbone has learned before: frozen features with a new last layer, or fine-tuning."""
