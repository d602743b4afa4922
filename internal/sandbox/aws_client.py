"""aws: sends the command to aws_cli.py, which runs it, and ends with its exit status.

The first message is the length of the second one, and the three open files. The second is the
working directory, how many arguments there are, these, and the environment, with zero bytes between.
"""

import os
import socket
import sys

arguments = [os.fsencode(argument) for argument in sys.argv]
environment = [name + b"=" + value for name, value in os.environb.items()]
command = b"\0".join([os.fsencode(os.getcwd()), b"%d" % len(arguments), *arguments, *environment])
with socket.socket(socket.AF_UNIX) as connection:
    try:
        connection.connect(os.path.join(os.path.dirname(__file__), "socket"))
    except OSError:
        sys.exit("aws: the sandbox that this program is a part of has ended; start it again")
    socket.send_fds(connection, [len(command).to_bytes(8, "big")], [0, 1, 2])
    connection.sendall(command)
    status = connection.recv(1)
if not status:
    sys.exit("aws: the command was ended before it was done")
sys.exit(status[0])
