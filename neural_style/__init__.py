"""Repaint a photograph in the style of a picture, with MXNet (Gatys, Ecker & Bethge 2015)."""

__version__ = "1.0.0"
