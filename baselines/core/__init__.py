"""What learning algorithms share, free of any one of them."""
