"""Replicas: several servers with the same servables, used as one."""
