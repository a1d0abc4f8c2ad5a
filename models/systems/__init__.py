"""The retrieval systems, one readable file each, and what they have in common."""
