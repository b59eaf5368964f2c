"""Black-box search for fusion weights, or for the parameters of a network that gives them."""
