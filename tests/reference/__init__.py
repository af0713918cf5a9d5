"""Slow games in plain Python, made from the written rules; the fast games are compared with them."""
