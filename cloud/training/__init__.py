"""Learning: labelled windows in, an int8 model and its judgement by animal out."""
