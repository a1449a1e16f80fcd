"""Findings, shown: in the terminal, as pictures, as one self-contained page, and in a notebook."""
