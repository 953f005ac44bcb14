"""Learning to predict the next token of a text: the first objective."""
