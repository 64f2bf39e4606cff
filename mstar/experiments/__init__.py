"""Change one thing, run again, and see what follows: sweeps, importance, patching, ablation.

`evaluate` asks how good a model is, this room what its answers depend on. It knows nothing of the
command line, of views or of reports.
"""
