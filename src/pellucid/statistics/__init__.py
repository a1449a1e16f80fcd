"""Arrays in, numbers out. NumPy only; what needs SciPy imports it when it is called."""
