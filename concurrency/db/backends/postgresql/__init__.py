"""PostgreSQL, through psycopg 3 or psycopg2, whichever Django picks."""
