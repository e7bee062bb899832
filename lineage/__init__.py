"""What the system means, and the graph that stores it."""

__version__ = "0.1.0"
