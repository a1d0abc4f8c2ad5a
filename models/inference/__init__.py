"""Running a trained system: encoders, arithmetic for each device, the fusion reranker."""
