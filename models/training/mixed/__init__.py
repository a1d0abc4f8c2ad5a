"""Training on images of scenes and chips of things, mixed: the last stage of `compact`."""
