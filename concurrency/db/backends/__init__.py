"""Django database backends; ``ENGINE`` takes their dotted paths."""
