"""What runs on the cluster: the driver, and a shepherd in each task of Spark."""
