"""Networks as symbols; no image and no file of parameters."""
