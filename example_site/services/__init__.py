"""The deployable services: one folder each, with ``settings.py`` and ``urls.py`` and nothing more.

The code is in ``example_site/apps``. A service says which apps it has, which
middleware and which logical databases they need, and its port for development.
``python manage.py startservice NAME`` begins another one.
"""
