"""Data: rendered `scenes`, the `lists` that training reads, the `benchmarks` that judge.

It may use the files beside the rooms (`errors`, `files`, `texts`, `tiles`, `distributed`) and how
`io` opens images. It knows nothing of models, hooks, training or evaluation.
"""
