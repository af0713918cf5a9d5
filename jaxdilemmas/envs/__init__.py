"""One file per game: its Params, State and Draws, the class, and then the rules as functions."""
