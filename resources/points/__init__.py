"""The data points, one class each; they check and tell, and leave the doing to the parts that they get."""
