"""A program of a played host that the played kernel's side answers.

Its name is that of the program: ip, devlink, modprobe.
"""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as kernel:
    kernel.connect("/run/played/kernel")
    kernel.sendall(json.dumps({"run": [os.path.basename(sys.argv[0]), *sys.argv[1:]]}).encode() + b"\n")
    answer = json.loads(kernel.makefile().readline())
sys.stdout.write(answer["stdout"])
sys.stderr.write(answer["stderr"])
sys.exit(answer["status"])
