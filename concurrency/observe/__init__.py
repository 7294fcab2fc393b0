"""What only watches: metrics, request ids, logs, the hub monitor."""
