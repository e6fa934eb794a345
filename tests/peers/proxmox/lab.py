"""The lab that a test asks, as its `site.json` describes it, and callers of its API through proxmoxer.

TLS is verified in every call: the first connection compares the server's certificate with the fingerprint that the lab
wrote down, fetches the site's own authority over that very connection, and all others are checked against the authority.
"""

import atexit
import hashlib
import http.client
import json
import os
import pathlib
import ssl
import tempfile
import time
import unittest
import urllib.parse
from contextlib import contextmanager

from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

FOLDER = pathlib.Path(os.environ["COZYUP_LAB"])
SITE = json.loads((FOLDER / "site.json").read_text())
HOST, PORT = urllib.parse.urlsplit(SITE["url"]).netloc.split(":")
USER, TOKEN = SITE["token_id"].split("!")
SECRET = pathlib.Path(SITE["token_file"]).read_text()
PASSWORD = pathlib.Path(SITE["password_file"]).read_text()
NODE = "pve"
# Lab seconds in one of the wall.
SPEED = SITE["speed"]
# The longest task of the lab ends within this many seconds of the wall.
PATIENCE = 30


def pinned():
    """A connection to the server whose certificate has the lab's fingerprint."""
    # The certificate's issuer is not known yet, so it is judged by its fingerprint alone, before a byte is sent.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(HOST, int(PORT), timeout=PATIENCE, context=context)
    connection.connect()
    leaf = hashlib.sha256(connection.sock.getpeercert(binary_form=True)).hexdigest().upper()
    shown = ":".join(leaf[i : i + 2] for i in range(0, len(leaf), 2))
    assert shown == SITE["fingerprint"], f"the server shows {shown}"
    return connection


def authority():
    """A file with the site's certificate authority."""
    connection = pinned()
    headers = {"Authorization": f"PVEAPIToken={USER}!{TOKEN}={SECRET}"}
    connection.request("GET", f"/api2/json/nodes/{NODE}/certificates/info", headers=headers)
    rows = json.load(connection.getresponse())["data"]
    connection.close()
    pem = next(row["pem"] for row in rows if row["filename"] == "pve-root-ca.pem")
    file = tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False)
    atexit.register(os.unlink, file.name)
    with file:
        file.write(pem)
    return file.name


AUTHORITY = authority()


def by_token(user=USER, token=TOKEN, secret=SECRET):
    return ProxmoxAPI(
        HOST, port=PORT, user=user, token_name=token, token_value=secret, verify_ssl=AUTHORITY, timeout=PATIENCE
    )


def by_password(user="root@pam", password=PASSWORD):
    return ProxmoxAPI(HOST, port=PORT, user=user, password=password, verify_ssl=AUTHORITY, timeout=PATIENCE)


class Lab(unittest.TestCase):
    """Asks as the installer's token (`self.api`) or as the administrator (`self.root`).

    The token has the role that README gives it, which is too small for what these tests ask: here it may do everything.
    """

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.api = by_token()
        cls.root = by_password()
        cls.root.access.acl.put(path="/", users=USER, roles="Administrator")
        cls.node = cls.api.nodes(NODE)

    def done(self, upid, api=None):
        """Waits for a task; its exit status."""
        status = Tasks.blocking_status(api or self.api, upid, timeout=PATIENCE, polling_interval=0.01)
        self.assertIsNotNone(status, f"{upid} does not end")
        return status["exitstatus"]

    def ok(self, upid, api=None):
        self.assertEqual(self.done(upid, api), "OK")
        return upid

    def log(self, upid, **window):
        task = Tasks.decode_upid(upid)
        return [line["t"] for line in self.api.nodes(task["node"]).tasks(upid).log.get(**(window or {"limit": 0}))]

    @contextmanager
    def refused(self, status, message, errors=None):
        """Expects a refusal with this status line. `errors` are those of parameters, or a body that is no JSON."""
        with self.assertRaises(ResourceException) as caught:
            yield
        refusal = caught.exception
        self.assertEqual((refusal.status_code, refusal.content, refusal.errors), (status, message, errors))

    @contextmanager
    def wrong(self, **errors):
        """Expects a refusal for these parameters. An underscore stands for a hyphen."""
        errors = {name.replace("_", "-"): text for name, text in errors.items()}
        with self.refused(400, "Parameter verification failed.", errors):
            yield

    def image(self, name="talos.raw", content="import", size=64 << 10, storage="local"):
        """Uploads noise as an image or ISO; the volid."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.write_bytes(hashlib.sha256(name.encode()).digest() * (size // 32))
            with path.open("rb") as file:
                self.ok(self.node.storage(storage).upload.post(content=content, filename=file))
        return f"{storage}:{content}/{name}"

    def guest(self, vmid, **options):
        """Creates a VM with a small disk that goes when the test ends."""
        options = {"name": f"guest-{vmid}", "memory": 512, "scsi0": "local-lvm:1", **options}
        self.ok(self.node.qemu.post(vmid=vmid, **options))
        self.addCleanup(self.destroy, vmid)
        return self.node.qemu(vmid)

    def destroy(self, vmid):
        try:
            self.ok(self.node.qemu(vmid).status.stop.post())
            self.ok(self.node.qemu(vmid).delete(purge=1))
        except (ResourceException, AssertionError):
            # Its test has destroyed it.
            pass

    def config(self, vmid):
        return self.node.qemu(vmid).config.get()


def eventually(look, what):
    """Looks again until it is true."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < PATIENCE, f"never: {what}"
        time.sleep(0.01)
