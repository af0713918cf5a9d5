"""Speed of the games and of training: run from a checkout, results as JSON lines in `benchmarks/results`."""
