"""What was trained: the algorithms by name, runs read back from disk, and games with recovered rewards."""
