"""How good a checkpoint is: rankings, places, masks, and what else could rank as well.

`metrics` counts, `table` is the one form of every result; the others are an evaluation each. It
knows nothing of training, of experiments or of the command line.
"""
