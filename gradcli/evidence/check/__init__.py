"""`--check`: autograd beside closed forms and central differences."""
