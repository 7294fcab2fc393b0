"""Scripts that bring the project up on a machine; they know nothing of Django or gevent.

They run unpatched, before anything is configured. Only `deploy.run` reads the project's settings,
and it leaves the serving to a process of its own.
"""
