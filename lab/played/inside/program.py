"""A program of a played host that the played kernel's side answers.

Its name is that of the program: ip, devlink, modprobe.
"""

import json
import os
import socket
import sys

name = os.path.basename(sys.argv[0])
changes = "set" in sys.argv or (name == "modprobe" and "--dry-run" not in sys.argv)
if changes and os.geteuid():
    sys.exit(f"{name}: Operation not permitted")
with socket.socket(socket.AF_UNIX) as kernel:
    kernel.connect("/run/played/kernel")
    kernel.sendall(json.dumps({"run": [name, *sys.argv[1:]]}).encode() + b"\n")
    answer = json.loads(kernel.makefile().readline())
sys.stdout.write(answer["stdout"])
sys.stderr.write(answer["stderr"])
sys.exit(answer["status"])
