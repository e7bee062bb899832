"""What the shepherd is made of, of the standard library alone: processes, and the log that it keeps of them."""
