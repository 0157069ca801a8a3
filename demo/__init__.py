"""The demonstration: the whole product with three clusters that live."""
