"""data/scenes/draw."""
