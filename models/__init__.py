"""The models that can be used, their weights, and the packages that build, run, train and measure them."""
