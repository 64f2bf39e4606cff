"""Data: the rendered sandbox, and the training annotations."""
