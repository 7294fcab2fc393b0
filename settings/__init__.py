"""Settings of the example site: one module for each environment, chosen by ENVIRONMENT."""
