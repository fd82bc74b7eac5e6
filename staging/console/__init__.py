"""The console: the testers' web page, under ``/console`` (docs/console.md).

The Python code serves JSON, server-sent events and files. The JavaScript modules in ``static/``
make the page; they need no build step and load nothing from other sites.
"""
