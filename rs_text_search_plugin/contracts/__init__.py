"""What both processes agree on, with the standard library alone: messages, errors, protocols of models."""
