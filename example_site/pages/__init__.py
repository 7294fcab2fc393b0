"""What the pages of all services share: their frame, their stylesheet, their error pages.

The stylesheet is part of each page, so that an error page looks right whatever
else is broken, and a service needs no static files for it.
"""
