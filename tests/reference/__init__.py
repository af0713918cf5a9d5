"""Slow plain-Python games written from the written rules, to compare the fast ones with."""
