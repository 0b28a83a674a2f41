"""Graph to graph: clean-up, raising, lowering, layout."""
