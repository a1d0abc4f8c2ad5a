"""What leaves the engine as files: vector exports and pictures of tiles."""
