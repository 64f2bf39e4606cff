"""data/scenes."""
