"""Speed and memory: whole gradcli commands beside whole `python -c` programs, run in turn."""
