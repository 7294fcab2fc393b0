"""What a ``DatabaseWrapper`` of Django becomes: one that leases its connections."""
