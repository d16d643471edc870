"""Groups and their members: households, tax units, persons."""
