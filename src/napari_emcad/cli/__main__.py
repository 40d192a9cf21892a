"""``python -m napari_emcad.cli`` is ``napari-emcad``."""

import sys

from napari_emcad.cli import main

sys.exit(main())
