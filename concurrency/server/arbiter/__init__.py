"""The arbiter process: what it prepares, supervises and prints."""
