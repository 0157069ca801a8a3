"""The program that runs in every cluster."""
