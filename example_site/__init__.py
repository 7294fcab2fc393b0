"""The example: a small site that uses the library as any user would.

``apps`` holds one Django app for each subject, ``timeline`` the chart that
their pages share. The library knows nothing of this package.
"""
