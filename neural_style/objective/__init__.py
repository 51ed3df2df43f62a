"""What is minimised, as a function of one image, and its gradient."""
