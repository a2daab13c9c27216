"""python -m carnot.compare MODEL.onnx: see --help."""

import sys

from ._command import main

sys.exit(main(sys.argv[1:]))
