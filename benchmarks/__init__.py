"""Benchmarks of games and of training. Run them from a checkout; rows go to `benchmarks/results` as JSON lines."""
