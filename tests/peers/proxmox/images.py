"""Uploads, downloads, and what storages hold."""

import hashlib
import pathlib
import tempfile

from lab import Lab, eventually


class Images(Lab):
    def upload(self, name, body=b"noise" * 1000, storage="local", content="import", **more):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.write_bytes(body)
            with path.open("rb") as file:
                # Proxmox reads the file last, so it comes last.
                return self.node.storage(storage).upload.post(content=content, **more, filename=file)

    def held(self, **query):
        return {row["volid"]: row for row in self.node.storage("local").content.get(**query)}

    def test_an_upload_is_a_task_and_its_file_is_listed_and_removed(self):
        body = b"talos" * 30_001
        checksum = hashlib.sha256(body).hexdigest()
        upid = self.upload("talos.raw", body, **{"checksum-algorithm": "sha256", "checksum": checksum})
        self.assertEqual(upid.split(":")[5:7], ["imgcopy", ""])
        self.ok(upid)
        lines = self.log(upid)
        self.assertIn("calculating checksum...OK, checksum verified", lines)
        self.assertIn("target file: /var/lib/vz/import/talos.raw", lines)
        self.assertEqual(lines[-2:], ["finished file import successfully", "TASK OK"])
        row = self.held(content="import")["local:import/talos.raw"]
        self.assertEqual((row["size"], row["format"], row["content"]), (len(body), "raw", "import"))
        self.assertNotIn("local:import/talos.raw", self.held(content="iso"))
        one = self.node.storage("local").content("local:import/talos.raw").get()
        self.assertEqual((one["size"], one["path"]), (len(body), "/var/lib/vz/import/talos.raw"))
        removed = self.ok(self.node.storage("local").content("local:import/talos.raw").delete())
        self.assertIn("Removed volume 'local:import/talos.raw'", self.log(removed))
        self.assertNotIn("local:import/talos.raw", self.held())

    def test_a_file_of_many_megabytes_arrives_whole(self):
        body = bytes(range(256)) * (9 << 12)
        checksum = hashlib.sha512(body).hexdigest()
        self.ok(self.upload("big.iso", body, content="iso", **{"checksum-algorithm": "sha512", "checksum": checksum}))
        self.assertEqual(self.held(content="iso")["local:iso/big.iso"]["size"], len(body))

    def test_a_wrong_checksum_fails_the_task_and_keeps_nothing(self):
        right = hashlib.sha256(b"noise" * 1000).hexdigest()
        upid = self.upload("wrong.raw", **{"checksum-algorithm": "sha256", "checksum": "0" * 64})
        self.assertEqual(self.done(upid), f"checksum mismatch: got '{right}' != expect '{'0' * 64}'")
        self.assertNotIn("local:import/wrong.raw", self.held())

    def test_names_are_made_plain_and_endings_are_checked(self):
        self.ok(self.upload("a b+c.iso", content="iso"))
        self.assertIn("local:iso/a_b_c.iso", self.held())
        with self.wrong(filename="invalid filename or wrong extension"):
            self.upload("talos.raw.xz")
        with self.wrong(filename="wrong file extension"):
            self.upload("talos.raw", content="iso")

    def test_storages_say_what_they_do_not_take(self):
        with self.refused(500, "can't upload to storage type 'lvmthin'"):
            self.upload("a.iso", storage="local-lvm", content="iso")
        with self.wrong(content="value 'images' does not have a value in the enumeration 'iso, vztmpl, import'"):
            self.upload("a.raw", content="images")
        with self.wrong(checksum="missing property required by 'checksum-algorithm'"):
            self.upload("a.raw", **{"checksum-algorithm": "sha256"})
        with self.refused(500, "storage 'nope' does not exist"):
            self.upload("a.iso", storage="nope", content="iso")
        self.root.storage("local").put(content="iso,vztmpl,backup")
        self.addCleanup(self.root.storage("local").put, content="iso,vztmpl,backup,import")
        with self.refused(500, "storage 'local' does not support 'import' content"):
            self.upload("a.raw")
        with self.refused(500, "storage 'local' is not configured for content-type 'import'"):
            self.download(filename="a.raw")

    def download(self, storage="local", **given):
        given = {"url": "https://factory.example/talos.raw", "content": "import", "filename": "d.raw", **given}
        return self.node.storage(storage)("download-url").post(**given)

    def test_a_download_of_what_is_there_already_is_done_and_any_other_finds_no_server(self):
        self.ok(self.upload("d.raw", b"there"))
        checksum = hashlib.sha256(b"there").hexdigest()
        same = self.ok(self.download(**{"checksum-algorithm": "sha256", "checksum": checksum}))
        self.assertEqual(same.split(":")[5:7], ["download", "d.raw"])
        self.assertIn(
            "calculating checksum of existing file...OK, got correct file already, no need to download", self.log(same)
        )
        other = self.download(**{"checksum-algorithm": "sha256", "checksum": "0" * 64})
        self.assertEqual(self.done(other), f"checksum mismatch: got '{checksum}' != expect '{'0' * 64}', aborting")
        self.assertEqual(self.done(self.download()), "refusing to override existing file '/var/lib/vz/import/d.raw'")
        fresh = self.download(filename="e.raw")
        self.assertEqual(self.done(fresh), "download failed: wget: unable to resolve host address 'factory.example'")
        closed = self.download(filename="e.raw", url="http://127.0.0.1:1/e.raw")
        self.assertEqual(self.done(closed), "download failed: Connecting to 127.0.0.1:1... failed: Connection refused.")

    def test_downloads_are_checked_before_the_task_and_decompression_in_it(self):
        with self.wrong(url="value does not match the regex pattern"):
            self.download(url="ftp://factory.example/x.raw")
        with self.wrong(checksum_algorithm="missing property required by 'checksum'"):
            self.download(checksum="0" * 64)
        with self.refused(500, "can't upload to storage type 'lvmthin', not a file based storage!"):
            self.download(storage="local-lvm")
        self.assertEqual(self.done(self.download(compression="zst")), "decompression not supported for import")
        unreachable = (
            "invalid server response: '500 Can't connect to x.example:443 (Temporary failure in name resolution)'"
        )
        with self.refused(500, unreachable):
            self.node("query-url-metadata").get(url="https://x.example/a.iso")

    def test_removing_what_is_not_there_is_no_error_but_a_name_of_no_volume_is(self):
        upid = self.ok(self.node.storage("local").content("local:iso/none.iso").delete())
        self.assertEqual(self.log(upid)[-2:], ["Removed volume 'local:iso/none.iso'", "TASK OK"])
        self.assertIsNone(self.node.storage("local").content("local:iso/none.iso").delete(delay=30))
        with self.refused(500, "unable to parse directory volume name 'nonsense'"):
            self.node.storage("local").content("local:nonsense").delete()
        with self.wrong(volume="storage ID mismatch (other != local)\n"):
            self.node.storage("local").content("other:iso/x.iso").delete()

    def test_a_disk_can_be_made_and_removed_by_itself(self):
        disks = self.node.storage("local-lvm").content
        self.assertEqual(disks.post(vmid=9999, filename="vm-9999-pvc-1", size="2G"), "local-lvm:vm-9999-pvc-1")
        (row,) = disks.get(vmid=9999)
        self.assertEqual((row["size"], row["vmid"], row["format"]), (2 << 30, 9999, "raw"))
        with self.refused(500, "illegal name 'pvc-1' - should be 'vm-9999-*'"):
            disks.post(vmid=9999, filename="pvc-1", size="2G")
        upid = self.ok(disks("local-lvm:vm-9999-pvc-1").delete())
        self.assertEqual(upid.split(":")[6], "9999@local-lvm")
        eventually(lambda: disks.get(vmid=9999) == [], "the disk is gone")
