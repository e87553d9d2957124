"""Formulas as text: index notation written as PyTorch's expressions of whole tensors.

Every node is written for the axes that are asked for, in their order. What comes out has a layout:
an index for each of its axes, or None for one of size 1, so that it broadcasts to those axes. In all
functions here `w` is the writer: the way back to the parts of a node, whatever these are. So the
modules import one another as modules.
"""
