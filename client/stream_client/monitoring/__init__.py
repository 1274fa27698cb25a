"""What a run reports: ledger, statistics, verdict, Prometheus metrics."""
