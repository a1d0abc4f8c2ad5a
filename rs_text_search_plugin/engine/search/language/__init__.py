"""Queries in other languages than English: told, translated by word lists, or read by a sentence encoder."""
