"""Rules for networks, and the evidence that they read."""
