"""The two drivers of PostgreSQL: psycopg 3 and psycopg2."""
