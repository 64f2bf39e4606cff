"""The course: eleven notebooks, the command that copies them out, and the checks of exercises."""
