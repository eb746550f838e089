"""Numbers: object hallucination, yes/no questions, and their uncertainty."""
