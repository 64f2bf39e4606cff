"""data/lists."""
