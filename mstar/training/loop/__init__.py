"""The loop that runs a recipe: what a step is given, what is kept on disk, how it is judged."""
