"""Tells systemd how we are: READY=1, WATCHDOG=1, STOPPING=1 (sd_notify(3)). Silent where nobody listens."""

import os
import socket


class Notifier:
    """One datagram socket to the address of NOTIFY_SOCKET; an abstract address begins with `@`."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address if address is not None else os.environ.get("NOTIFY_SOCKET", "")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if self._address else None

    def tell(self, state: str) -> None:
        """Send a state; a supervisor that went away is no reason to stop heating."""
        if self._socket is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            self._socket.sendto(state.encode("ascii"), socket.MSG_DONTWAIT, address)
        except OSError:
            return

    def close(self) -> None:
        """Release the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
