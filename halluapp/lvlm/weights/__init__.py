"""The weights of a loaded model: their precision, and what tells them from others."""
