"""What a text says: the objects it names, the nouns beside them, and what it denies. Knows no model and no photo."""
