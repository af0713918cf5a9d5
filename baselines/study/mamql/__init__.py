"""What the study of learning from demonstrations is made of; `baselines.mamql_study` is its command."""
