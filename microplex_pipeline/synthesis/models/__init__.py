"""The two models with networks, the zero model and the flow, and their training."""
