"""The website: what Python makes of it."""
