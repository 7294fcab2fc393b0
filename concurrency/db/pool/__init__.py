"""Connection pools: slots, leases, waiters, and the cleaning of connections."""
