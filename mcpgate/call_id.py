"""What a call is known by."""

from __future__ import annotations

import os
import time


def new_call_id() -> str:
    """An id that grows with time (UUID version 7, RFC 9562): in the database, what is new lies together."""
    moment, chance = f"{time.time_ns() // 1_000_000:012x}", os.urandom(10).hex()
    variant = "89ab"[int(chance[3], 16) & 3]
    return f"{moment[:8]}-{moment[8:]}-7{chance[:3]}-{variant}{chance[4:7]}-{chance[7:19]}"
