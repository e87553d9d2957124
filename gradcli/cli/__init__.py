"""The command line: from words to requests, help, completion, and errors on the terminal."""
