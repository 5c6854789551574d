"""The Object Storage Migration Service: its calls, its signature, its answers."""
