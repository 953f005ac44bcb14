"""Learning to turn one text into another: pairs of a source and a target."""
