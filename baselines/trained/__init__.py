"""What was trained: the algorithms by name, runs read back from disk, and games that pay recovered rewards."""
