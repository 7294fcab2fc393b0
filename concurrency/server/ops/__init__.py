"""The ops process: probes, metrics and webhooks of a service. Not patched."""
