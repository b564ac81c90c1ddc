"""Index form: scalar expressions in indexed symbols, with sums, conditions and affine indices."""
