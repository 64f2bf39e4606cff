"""Jupyter widgets and figures that show what `mstar` computed."""
