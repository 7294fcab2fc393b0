"""Serving: what gunicorn needs to know to start, drain and stop well.

Importing this package imports nothing else, and what is exported from it has to be
resolved when it is asked for: the ops process, which is not patched, imports from here.
"""
