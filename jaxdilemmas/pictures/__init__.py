"""How games look: a module per family, whose `picture(env)` returns a `jaxdilemmas.rendering.picture.Picture`."""
