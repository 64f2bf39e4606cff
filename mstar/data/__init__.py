"""Data: rendered `scenes`, the `lists` that training reads, the `benchmarks` that judge.

It may use `mstar.files`, `texts`, `tiles`, `distributed` and how `io` opens images, and knows
nothing of models, of training or of evaluation.
"""
