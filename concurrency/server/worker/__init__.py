"""The worker process: connections, HTTP, the gate, and what a worker reports."""
