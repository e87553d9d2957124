"""The commands, one folder each: request, compute, result, show, and program where there is one."""
