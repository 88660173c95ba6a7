"""What Module 8 builds: models, documents, cache, messages and the data-science engine."""
