"""tests agent."""
