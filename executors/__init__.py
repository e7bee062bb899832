"""Run things: the worker loop, the executors, and what runs inside them."""
