"""The producers of reports: what to watch, how to split an object, how to read a content."""
