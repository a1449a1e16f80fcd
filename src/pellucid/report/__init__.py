"""Shows findings in the terminal, as pictures, as one self-contained HTML page, and in a notebook."""
