"""Similarity of images to each other, and to a style and a content."""
