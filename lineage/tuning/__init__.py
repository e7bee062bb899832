"""Tuning: Optuna's studies and trials kept in the graph, and the ask and tell that slots live on."""
