"""Studies: one paper, one folder, each with a command."""
