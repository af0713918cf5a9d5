"""The study of MAMQL and of what it is compared with: `python -m baselines.studies.mamql`."""
