"""The study of common pools: `python -m baselines.studies.common_pool`."""
