"""The command line: a small module for each group of commands.

What is heavy is imported inside the function that runs. Other packages add commands by an entry
point of the group `mstar.commands`, as the reports do; nothing here knows them.
"""
