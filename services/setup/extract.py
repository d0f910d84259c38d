"""Takes the members of a wheel that start with one of the given prefixes, each fsynced.

usage: extract.py WHEEL DIRECTORY PREFIX...      prints the number of files taken
"""

import os
import shutil
import sys
import zipfile

wheel, directory, prefixes = sys.argv[1], sys.argv[2], tuple(sys.argv[3:])
taken = 0
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        if member.is_dir() or not member.filename.startswith(prefixes):
            continue
        path = os.path.normpath(os.path.join(directory, member.filename))
        if not path.startswith(os.path.abspath(directory) + os.sep):
            sys.exit("member outside of the directory: " + member.filename)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        # A member's CRC is checked as it is read: a damaged archive raises here.
        with archive.open(member) as source, open(path, "wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        taken += 1
print(taken)
