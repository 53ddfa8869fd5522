"""``python -m embedseg_ops`` is the command line, too: torchrun starts it in this way."""

import sys

from embedseg_ops.command.main import main

sys.exit(main())
