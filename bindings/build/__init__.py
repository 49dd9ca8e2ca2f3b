"""Builds the Go package bindings/core into the extension module sandlock._core."""
