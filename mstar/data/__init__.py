"""Data: the rendered sandbox, the benchmarks, the training annotations."""
