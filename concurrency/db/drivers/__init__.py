"""Drivers: how to wait, stop a statement and clean up with each of them."""
