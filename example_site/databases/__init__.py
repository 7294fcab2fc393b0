"""Logical databases: which app's tables are where, and that nothing is anywhere else.

Apps are mapped to logical databases by the setting ``APP_DATABASES``; a service
names those that it needs in ``LOGICAL_DATABASES``; a URL in the environment makes
each of them a physical one. Two may be the same physical database.
"""
