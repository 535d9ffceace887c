"""Many pictures and 2D poses: in parts, by several workers, each result exactly once."""
