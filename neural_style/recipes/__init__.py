"""Settings as values, and the published numbers with their sources."""
