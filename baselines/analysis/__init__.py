"""What follows from many episodes: pure functions that neither print nor write files."""
