"""Runs from files to files, and what is kept of them."""
