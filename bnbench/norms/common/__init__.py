"""Parts that norms are built of, and the marks by which models know them."""
