"""The search dock, its parts and dialogs."""
