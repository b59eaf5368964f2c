"""The short-video simulator: users who respond to what a fusion function shows them."""
