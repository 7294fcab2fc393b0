"""Private names of dependencies, one module for each dependency.

Everything that this package uses of a dependency without being promised it is here, under
a name that says what it gives. Nothing else in ``concurrency`` touches such a name; ruff
and a test look for it. Each module lists its names in ``NAMES``, which can tell whether
they are all there. ``survey`` asks all modules; the system check ``concurrency.E011`` and
``python -m concurrency.compat`` report what it finds. Importing this package imports nothing.
"""
