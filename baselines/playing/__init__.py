"""Games that people play in a browser, alone or with others, against scripted or trained agents."""
