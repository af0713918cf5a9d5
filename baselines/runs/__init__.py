"""A training run, from the command line to the files on disk."""
