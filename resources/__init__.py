"""The device's data points, their back ends, and the dispatch that every protocol uses."""
