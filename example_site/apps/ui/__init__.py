"""The pages that greet: one person, or everyone at once. It asks the other services for all."""
