"""The few sequences that join capabilities: train, then predict, evaluate, report."""
