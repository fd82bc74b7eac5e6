"""Python sources as syntax trees, for tests and tools that read the house's own code."""

from __future__ import annotations

import ast
import gc


def parse(source: str | bytes, name: str = "<source>") -> ast.Module:
    """Return the tree of ``source``; ``name`` is for messages. Raises SyntaxError.

    The collector waits meanwhile: what it ends may parse too (a traceback does, for its carets), and up to
    Python 3.11.7 two at a time are "SystemError: AST constructor recursion depth mismatch" (CPython
    gh-106905).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source, name)
    finally:
        if collects:
            gc.enable()
