"""A pcscd of our own: its readers, its port and its socket are nobody else's, and it needs no rights of root.

pcscd takes a socket that is handed to it as systemd would; clients find it by PCSCLITE_CSOCK_NAME. The virtual reader
has two slots, on two ports that follow each other.
"""

import os
import shutil
import socket
import subprocess
import time

DRIVER = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"
PATIENCE = 30

READER = """FRIENDLYNAME "Virtual PCD"
DEVICENAME   /dev/null:0x{port:X}
LIBPATH      {driver}
CHANNELID    0x{port:X}
"""


def free_ports():
    """The first of two ports that follow each other and that nobody listens on."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


class Daemon:
    """pcscd with a virtual reader, in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_ports()
        self.socket = os.path.join(folder, "pcscd.comm")
        self.process = None
        config = os.path.join(folder, "readers")
        os.makedirs(config)
        with open(os.path.join(config, "vpcd"), "w", encoding="ascii") as file:
            file.write(READER.format(port=self.port, driver=DRIVER))
        os.environ["PCSCLITE_CSOCK_NAME"] = self.socket

    def start(self):
        """Starts it and waits until the virtual reader listens for a card."""
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        # Administrators' programs are not in everybody's path.
        program = shutil.which("pcscd") or "/usr/sbin/pcscd"
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(self.socket)
            door.listen()
            config = os.path.join(self.folder, "readers")
            # The protocol wants the socket as file descriptor 3 and the process's own number in the environment.
            script = f'exec 3<&{door.fileno()}; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" --foreground --info -c "$1"'
            with open(os.path.join(self.folder, "pcscd.log"), "ab") as log:
                self.process = subprocess.Popen(
                    ["sh", "-c", script, program, config],
                    pass_fds=[door.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
        until = time.monotonic() + PATIENCE
        while not listens(self.port):
            if time.monotonic() > until or self.process.poll() is not None:
                raise RuntimeError("pcscd does not come up:\n" + self.log())
            time.sleep(0.05)

    def stop(self):
        """Ends it."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def log(self):
        """What it wrote."""
        with open(os.path.join(self.folder, "pcscd.log"), encoding="utf-8", errors="replace") as file:
            return file.read()


def listens(port):
    """Whether somebody listens on a port, found without connecting: a connection would be a card."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as file:
            for line in file.readlines()[1:]:
                words = line.split()
                if words[1].endswith(wanted) and words[3] == "0A":
                    return True
    return False
