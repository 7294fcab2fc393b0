"""Drivers: how each of them waits, cancels a statement and cleans up."""
