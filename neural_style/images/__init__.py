"""Pictures: read, resize, bring to and from what a network sees, denoise, paint, save."""
