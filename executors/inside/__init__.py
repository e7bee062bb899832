"""What runs inside an environment beside trial.py: the standard library alone until a mode needs more."""
