"""How well rewards are recovered from demonstrations, and rewards as weights of events."""
