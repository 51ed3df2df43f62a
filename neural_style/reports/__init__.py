"""HTML pages about a run, or about two images."""
