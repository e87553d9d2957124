"""What developers run by hand or at night: benchmarks, soak, forks, fuzz, mutation, versions,
release.
"""
