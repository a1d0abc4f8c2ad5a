"""Windows of their own: the models, the setup of the engine."""
