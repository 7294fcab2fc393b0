"""What ``import concurrency.patch`` does, part by part.

Importing these modules patches nothing, so that a process that is not patched can ask
whether it is.
"""
