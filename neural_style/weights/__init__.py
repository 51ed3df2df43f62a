"""Network parameters in files: read, check, find, fetch and import them."""
