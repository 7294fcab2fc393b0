"""Django database backends; their dotted paths are what ``ENGINE`` names."""
