"""From a request to a result: here PyTorch computes, with one file per command."""
