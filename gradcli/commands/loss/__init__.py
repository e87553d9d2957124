"""`loss`: values, elements and gradients of losses."""
