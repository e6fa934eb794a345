"""What goes wrong without anybody's mistake: locks held by others, full storages, an id and a right that are gone."""

from lab import NODE, Lab


class Faults(Lab):
    def test_a_lock_that_is_not_had_in_ten_seconds_ends_a_full_clone_and_leaves_nothing(self):
        self.guest(100)
        for storage, trying, why in [
            (
                "local-lvm",
                "trying to acquire lock...",
                "can't lock file '/var/lock/pve-manager/pve-storage-local-lvm' - got timeout",
            ),
            (
                "shared",
                "trying to acquire cfs lock 'storage-shared' ...",
                "cfs-lock 'storage-shared' error: got lock request timeout",
            ),
        ]:
            upid = self.node.qemu(100).clone.post(newid=101, full=1, storage=storage)
            self.assertEqual(self.done(upid), f"clone failed: {why}")
            self.assertIn(trying, self.log(upid))
            self.assertEqual(self.node.storage(storage).content.get(vmid=101), [])
            with self.refused(500, f"Configuration file 'nodes/{NODE}/qemu-server/101.conf' does not exist"):
                self.config(101)

    def test_a_full_storage_shows_no_room_and_fails_what_needs_some(self):
        for storage, why in [
            (
                "full-lvm",
                "lvcreate 'pve/vm-102-disk-0' error:   Cannot create new thin volume, free space in thin pool pve/data reached threshold.",
            ),
            ("full-zfs", "zfs error: cannot create 'rpool/data/vm-102-disk-0': out of space"),
        ]:
            status = self.node.storage(storage).status.get()
            self.assertEqual((status["avail"], status["used"]), (0, status["total"]))
            self.assertEqual(
                self.done(self.node.qemu.post(vmid=102, scsi0=f"{storage}:1")), f"unable to create VM 102 - {why}"
            )

    def test_an_id_is_somebody_elses(self):
        with self.wrong(vmid="VM 300 already exists"):
            self.api.cluster.nextid.get(vmid=300)
        with self.refused(500, f"unable to create VM 300 - VM 300 already exists on node '{NODE}'"):
            self.node.qemu.post(vmid=300)
        self.assertEqual(self.config(300)["name"], "someone-elses")

    def test_a_right_that_was_taken_away_is_missing_in_the_permissions(self):
        self.assertNotIn("VM.Snapshot", self.api.access.permissions.get()["/"])
        self.assertIn("VM.Snapshot", self.root.access.permissions.get()["/"])
