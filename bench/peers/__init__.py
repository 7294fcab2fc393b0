"""What a user could choose in place of this package, on the same site: `python -m bench.peers`.

``catalogue`` lists the peers and ``works`` what they are asked for; ``measuring`` runs one peer
with one work; ``results`` compares; ``tables``, ``plot`` and ``page`` show.
"""
