"""From the graph to files: classes, names, printers, weights."""
