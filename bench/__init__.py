"""Measurements: load on a real server, the demonstration, the cost of a fan-out.

``python -m bench`` puts load on the example, ``python -m bench.demo`` times the
demonstration, ``python -m bench.fanout`` compares fan-out with raw gevent, and
``python -m bench.screenshot`` takes the picture in the README.
"""
