"""What every test relies on."""

import signal

# A runner in the background may ignore interrupts, and what it starts would: tests send them.
signal.signal(signal.SIGINT, signal.default_int_handler)
