"""Sweeps: the space of settings, trials that are ordinary runs, the engine that runs them, and their report."""
