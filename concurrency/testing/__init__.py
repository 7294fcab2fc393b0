"""Help for test suites: of users, and of this package."""
