"""Docker: images of environments, and the work that runs in containers of them."""
