"""From labeled clips and tables to a served classifier. Needs the extra ``train``."""
