"""Queries: words to vectors, scores, matches, regions, reranking and descriptions."""
