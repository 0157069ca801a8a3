"""From agents' frames to committed rows."""
