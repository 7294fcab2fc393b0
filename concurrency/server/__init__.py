"""Serving: what gunicorn needs to know to start, drain and stop well."""
