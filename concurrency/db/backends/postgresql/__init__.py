"""PostgreSQL, through psycopg 3 or psycopg2; Django picks the driver."""
