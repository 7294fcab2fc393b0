"""Pools of connections: slots, leases, waiters, and what keeps connections fit."""
