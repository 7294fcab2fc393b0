"""Turns Django's ``DatabaseWrapper`` into one that leases its connections."""
