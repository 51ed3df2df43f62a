"""Pictures in, a picture out: the run of a recipe."""
