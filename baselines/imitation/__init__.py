"""What learners from demonstrations are made of."""
