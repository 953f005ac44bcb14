"""After a training: measurements of a model, and what is wrong with it."""
