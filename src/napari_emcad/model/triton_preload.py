"""Load triton so that it does not crash beside an OpenGL canvas.

timm imports torchvision, which imports triton, whose ``libtriton.so`` carries its own LLVM. When
Mesa's software OpenGL has loaded another LLVM first (virtual machines, remote desktops, CI), the
symbols of the two clash and the process crashes. Loading triton with ``RTLD_DEEPBIND`` makes it
prefer its own symbols. All modules that need timm import this one before it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading

_LOCK = threading.Lock()


def preload_triton() -> None:
    """Import triton, where it is installed, bound to its own symbols; safe to call twice."""
    with _LOCK:
        if "triton._C.libtriton" in sys.modules or not hasattr(os, "RTLD_DEEPBIND"):
            return
        if importlib.util.find_spec("triton") is None:
            return
        flags = sys.getdlopenflags()
        sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
        try:
            importlib.import_module("triton._C.libtriton")
        except ImportError:  # a triton without its library cannot clash
            pass
        finally:
            sys.setdlopenflags(flags)


preload_triton()
