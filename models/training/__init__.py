"""Training, from captioned images to a file of weights; never imported at run time."""
