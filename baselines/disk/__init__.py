"""How files are written and read, and what they and settings may hold."""
