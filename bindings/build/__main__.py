"""Build the extension module in place: python -m bindings.build."""

from bindings.build.extension import build

print(build())
