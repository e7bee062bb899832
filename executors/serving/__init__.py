"""Online scoring: replicas of deployments kept running, checked, replaced."""
