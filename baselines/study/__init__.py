"""What the study of common pools is made of; `baselines.common_pool_study` is its command."""
