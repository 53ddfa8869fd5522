"""Networks, and the files that keep them."""
