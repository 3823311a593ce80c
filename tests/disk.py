"""Disks that refuse, for root and for anyone else: the kernel says no, without a mount. Not a test module."""

import ctypes
import resource
from contextlib import contextmanager

_VERSION = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2


@contextmanager
def full_disk(limit=64 << 10):
    """No file can grow above so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def permissions(folder, mode):
    """The folder has these permissions, and they bind this thread, and those that it starts, even when it is root's."""
    before = folder.stat().st_mode
    folder.chmod(mode)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    held, fewer = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    system = ctypes.CDLL(None, use_errno=True)
    for sets in (held, fewer):
        assert system.capget(header, sets) == 0
    fewer[0] &= ~(_DAC_OVERRIDE | _DAC_READ_SEARCH)  # of the effective set; they stay permitted
    assert system.capset(header, fewer) == 0
    try:
        yield
    finally:
        assert system.capset(header, held) == 0
        folder.chmod(before)


def read_only(folder):
    """Nothing can be made, renamed or removed in the folder."""
    return permissions(folder, 0o555)
