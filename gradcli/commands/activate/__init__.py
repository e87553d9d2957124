"""`activate`: values and derivatives of activations."""
