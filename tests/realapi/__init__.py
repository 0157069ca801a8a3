"""The agent against a real Kubernetes API server: `make realapi`."""
