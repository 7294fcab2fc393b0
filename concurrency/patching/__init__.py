"""The parts of ``import concurrency.patch``.

Importing these modules patches nothing, so that an unpatched process can use them to find
out whether it is patched.
"""
