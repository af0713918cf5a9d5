"""Mechanics that grid games share: pure functions on arrays that know no game."""
