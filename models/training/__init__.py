"""Training, from captioned pictures to a file of weights; never imported at run time."""
