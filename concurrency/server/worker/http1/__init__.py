"""HTTP/1.1 for ``GeventWorker``: bytes in, requests out, responses back.

gunicorn remains what owns listeners, TLS, signals and configuration. The bytes of a
connection go through llhttp (``httptools``) in its strict mode, and what llhttp leaves
open is decided in ``head``. Knows nothing of Django and of gates.
"""
