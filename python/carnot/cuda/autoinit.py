"""Imported for what it does: makes a context of the device current, until the program ends."""

import atexit

from ._device import Device

device = Device(0)
context = device.make_context()
atexit.register(context.detach)
