"""Arrays in, numbers out. Uses NumPy; functions that need SciPy import it when called."""
