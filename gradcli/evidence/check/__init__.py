"""`--check`: autograd compared with closed forms and central differences."""
