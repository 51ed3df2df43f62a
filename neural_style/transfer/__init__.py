"""Images in, an image out: the run of a recipe."""
