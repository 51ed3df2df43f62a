"""Images: read, resize, convert to and from a network's input, denoise, paint, save."""
