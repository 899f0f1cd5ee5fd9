"""The companies that carry messages; one package each."""
