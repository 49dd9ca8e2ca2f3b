"""What the pytest plugin is made of: tests that run in a sandboxed interpreter."""
