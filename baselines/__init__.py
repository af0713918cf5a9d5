"""Learning algorithms, run from a checkout. Nothing in `jaxdilemmas` depends on them."""
