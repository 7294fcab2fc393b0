"""The example: services that use the library as any user would.

``services`` says which there are, ``apps`` holds their code, one Django app for each
subject. ``databases`` knows where an app's tables are, ``discovery`` and ``backends`` how
services find and ask each other, ``answers`` how they answer. ``pages`` and ``timeline``
are what their pages share. The library does not depend on this package.
"""
