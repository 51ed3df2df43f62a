"""Files of network parameters: read, check, find, fetch and import them."""
