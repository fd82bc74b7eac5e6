"""The console: the page that a tester lives in, under ``/console`` (docs/console.md).

Python here serves JSON, server-sent events and files; what is seen is made by the modules in
``static/``, which need no build step and fetch nothing from elsewhere.
"""
