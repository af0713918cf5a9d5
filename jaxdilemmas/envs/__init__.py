"""One file per game: its Params, State, Draws, the class, then the rules as functions."""
