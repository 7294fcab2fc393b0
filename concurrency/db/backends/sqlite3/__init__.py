"""SQLite: statements in native threads, writers in a queue."""
