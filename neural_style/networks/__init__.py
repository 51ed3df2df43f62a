"""Networks as symbols: no images, no files of parameters."""
