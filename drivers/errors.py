"""The errors of the field, told apart by whose fault they are.

DriverError
├── TransportError      the line or the network
│   ├── NoAnswerError   nothing came in time
│   └── ClosedError     the connection is not there
├── ProtocolError       bytes came, but not as the protocol wants them
│   ├── LocalProtocolError    we asked for something the protocol forbids
│   └── RemoteProtocolError   the device answered something the protocol forbids
├── DeviceError         the device answered properly: it refuses (`code` is the protocol's own)
└── ConfigurationError  profile, address or option cannot work; retrying is useless
    └── UntrustedError  a server's certificate that a person must decide about

Library exceptions are translated into these in one place per protocol and never cross the border.
"""


class DriverError(Exception):
    """Anything that went wrong between us and a device."""


class TransportError(DriverError):
    """The line or the network failed."""


class NoAnswerError(TransportError):
    """Nothing came in time."""


class ClosedError(TransportError):
    """The connection is not there or went away."""


class ProtocolError(DriverError):
    """Bytes came, but not as the protocol wants them."""


class LocalProtocolError(ProtocolError):
    """We asked for something the protocol forbids."""


class RemoteProtocolError(ProtocolError):
    """The device answered something the protocol forbids."""


class DeviceError(DriverError):
    """The device answered properly that it cannot or will not. `code` is the protocol's own number."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class ConfigurationError(DriverError):
    """Profile, address or option cannot work."""


class UntrustedError(ConfigurationError):
    """A server shows a certificate that a person must decide about: its owner's name and its SHA-256."""

    def __init__(self, text: str, name: str, thumbprint: str) -> None:
        super().__init__(text)
        self.name = name
        self.thumbprint = thumbprint
