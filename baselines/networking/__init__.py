"""What networked learners are made of: protocols, and playing and going back through them."""
