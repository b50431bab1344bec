"""A program's side of PC/SC, by the system's own library: list readers, connect, transmit, disconnect."""

import ctypes

SHARE_SHARED = 2
PROTOCOLS = 1 | 2
LEAVE, RESET, UNPOWER = 0, 1, 2
NO_READERS = 0x8010002E
NO_SERVICE = 0x8010001D

# pcsclite has longs where Windows has 32 bits.
LONG = ctypes.c_long
DWORD = ctypes.c_ulong


class IoRequest(ctypes.Structure):
    """Which protocol a command goes by."""

    _fields_ = [("protocol", DWORD), ("length", DWORD)]


class Error(Exception):
    """What the library answered instead of success."""

    def __init__(self, code):
        self.code = code & 0xFFFFFFFF
        super().__init__(f"PC/SC error {self.code:08X}")


def library():
    """The client library, loaded when it is first used."""
    lib = ctypes.CDLL("libpcsclite.so.1")
    for name in ("EstablishContext", "ReleaseContext", "ListReaders", "Connect", "Reconnect", "Transmit", "Disconnect"):
        getattr(lib, "SCard" + name).restype = LONG
    return lib


def check(code):
    if code != 0:
        raise Error(code)


class Context:
    """A conversation with the daemon."""

    def __init__(self):
        self.lib = library()
        self.handle = LONG()
        check(self.lib.SCardEstablishContext(DWORD(2), None, None, ctypes.byref(self.handle)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lib.SCardReleaseContext(self.handle)

    def readers(self):
        """The readers' names."""
        size = DWORD()
        try:
            check(self.lib.SCardListReaders(self.handle, None, None, ctypes.byref(size)))
            names = ctypes.create_string_buffer(size.value)
            check(self.lib.SCardListReaders(self.handle, None, names, ctypes.byref(size)))
        except Error as error:
            if error.code == NO_READERS:
                return []
            raise
        return [name.decode() for name in names.raw[: size.value].split(b"\0") if name]

    def connect(self, reader):
        """The card in this reader, powered on."""
        return Card(self, reader)


class Card:
    """A card that is connected to."""

    def __init__(self, context, reader):
        self.lib = context.lib
        self.handle = LONG()
        self.protocol = DWORD()
        check(
            self.lib.SCardConnect(
                context.handle,
                reader.encode(),
                DWORD(SHARE_SHARED),
                DWORD(PROTOCOLS),
                ctypes.byref(self.handle),
                ctypes.byref(self.protocol),
            )
        )

    def transmit(self, command):
        """Data and status word that the card answers to a command in hexadecimal."""
        command = bytes.fromhex(command)
        answer = ctypes.create_string_buffer(4096)
        length = DWORD(len(answer))
        request = IoRequest(self.protocol.value, ctypes.sizeof(IoRequest))
        check(
            self.lib.SCardTransmit(
                self.handle,
                ctypes.byref(request),
                command,
                DWORD(len(command)),
                None,
                answer,
                ctypes.byref(length),
            )
        )
        answer = answer.raw[: length.value]
        return answer[:-2], answer[-2:].hex().upper()

    def reset(self):
        """Resets the card."""
        protocol = ctypes.byref(self.protocol)
        check(self.lib.SCardReconnect(self.handle, DWORD(SHARE_SHARED), DWORD(PROTOCOLS), DWORD(RESET), protocol))

    def leave(self, how=UNPOWER):
        """Ends the connection."""
        check(self.lib.SCardDisconnect(self.handle, DWORD(how)))
