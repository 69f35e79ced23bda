"""What a reader sees: figures, tables and where they come from."""
