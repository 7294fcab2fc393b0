"""Ten slow SQL statements in the time of one: the demonstration of the library.

``/slow-sql/`` runs one slow statement. ``/ten-slow-requests/`` asks this same
server for it ten times at once, ``/ten-slow-queries/`` runs the ten statements
itself. Plain synchronous views, one worker process.
"""
