"""Galleries too large to be read for every query: nearest vectors name candidates, scored as ever.

`approximate` searches so; where the nearest vectors come from is left open: `lists` are a file of
the gallery, `database` is a server's.
"""
