"""What a server needs beside the page: where comparisons run, one after another."""
