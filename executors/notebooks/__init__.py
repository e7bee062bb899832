"""Notebooks: JupyterLab in a container of an environment, with the client beside the environment's own packages."""
