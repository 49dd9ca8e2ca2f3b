"""The IPython extension: ``%load_ext sandlock``. Nothing else of the package imports IPython."""
