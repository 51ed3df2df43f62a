"""How near pictures are, to each other and to a style and a content."""
