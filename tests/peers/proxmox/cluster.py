"""A cluster of two hosts: what is on which, and what may go from one to the other."""

from lab import NODE, Lab, eventually

OTHER = "pve2"


class Cluster(Lab):
    def test_a_cluster_has_a_row_of_its_own_and_a_quorum(self):
        cluster, first, second = self.api.cluster.status.get()
        self.assertEqual((cluster["type"], cluster["nodes"], cluster["quorate"]), ("cluster", 2, 1))
        self.assertEqual([row["name"] for row in (first, second)], [NODE, OTHER])
        self.assertEqual([row["local"] for row in (first, second)], [1, 0])
        self.assertEqual({first["nodeid"], second["nodeid"]}, {1, 2})

    def test_a_machine_and_its_tasks_are_on_one_node_only(self):
        with self.refused(500, f"Configuration file 'nodes/{NODE}/qemu-server/151.conf' does not exist"):
            self.config(151)
        self.assertEqual([row["vmid"] for row in self.api.nodes(OTHER).qemu.get()], [151])
        upid = self.ok(self.api.nodes(OTHER).qemu(151).status.stop.post())
        self.assertEqual(upid.split(":")[1], OTHER)
        with self.wrong(upid="no such task"):
            self.node.tasks(upid).status.get()

    def test_an_id_that_is_taken_on_another_node_is_found_by_a_create_at_once_and_by_a_clone_in_its_task(self):
        with self.refused(500, f"unable to create VM 151 - VM 151 already exists on node '{OTHER}'"):
            self.node.qemu.post(vmid=151)
        self.guest(200)
        upid = self.node.qemu(200).clone.post(newid=151)
        path = f"/etc/pve/nodes/{NODE}/qemu-server/151.conf"
        self.assertEqual(self.done(upid), f"close (rename) atomic file '{path}' failed: File exists")
        self.assertEqual(self.api.nodes(OTHER).qemu(151).config.get()["name"], "there")

    def test_a_clone_goes_to_another_node_only_from_and_to_shared_storage(self):
        self.guest(201)
        clone = self.node.qemu(201).clone
        with self.refused(500, "no such cluster node 'nope'"):
            clone.post(newid=202, target="nope")
        with self.refused(500, f"can't clone VM to node '{OTHER}' (VM uses local storage)"):
            clone.post(newid=202, target=OTHER)
        with self.refused(500, "can't clone to non-shared storage 'local-lvm'"):
            clone.post(newid=202, target=OTHER, storage="local-lvm")

        self.guest(203, scsi0="shared:1")
        upid = self.node.qemu(203).clone.post(newid=204, target=OTHER)
        eventually(
            lambda: any(row["vmid"] == 204 for row in self.node.qemu.get()), "the clone begins on its source's node"
        )
        self.ok(upid)
        guest = self.api.nodes(OTHER).qemu(204)
        self.assertEqual(guest.config.get()["scsi0"], "shared:204/vm-204-disk-0.raw,size=1G")
        self.ok(guest.delete())

    def test_a_linked_clone_on_files_names_its_base_which_stays_as_long_as_it(self):
        base = self.guest(205, scsi0="shared:1,format=qcow2")
        self.ok(base.template.post())
        self.ok(base.clone.post(newid=206))
        self.assertEqual(self.config(206)["scsi0"], "shared:205/base-205-disk-0.qcow2/206/vm-206-disk-0.qcow2,size=1G")
        volume = "shared:205/base-205-disk-0.qcow2"
        self.assertEqual(self.done(base.delete()), f"base volume '{volume}' is still in use by linked cloned")
        self.ok(self.node.qemu(206).delete())
        self.ok(base.delete())

    def test_a_storage_may_be_for_some_nodes_only(self):
        self.root.storage("shared").put(nodes=OTHER)
        self.addCleanup(self.root.storage("shared").put, delete="nodes")
        self.guest(207)
        with self.refused(500, f"storage 'shared' is not available on node '{NODE}'"):
            self.node.qemu(207).clone.post(newid=208, full=1, storage="shared")
        with self.refused(500, f"storage 'shared' is not available on node '{NODE}'"):
            self.node.storage("shared")("download-url").post(
                url="https://x.example/a.iso", content="iso", filename="a.iso"
            )
        rows = {row["storage"]: row["enabled"] for row in self.node.storage.get()}
        self.assertEqual(rows, {"local": 1, "local-lvm": 1, "shared": 0})
        self.assertIn("shared", {row["storage"] for row in self.api.nodes(OTHER).storage.get(enabled=1)})
        resources = [row["id"] for row in self.api.cluster.resources.get(type="storage") if row["storage"] == "shared"]
        self.assertEqual(resources, [f"storage/{OTHER}/shared"])

    def test_only_shared_storages_reach_another_node(self):
        rows = self.node.storage.get(target=OTHER)
        self.assertEqual([row["storage"] for row in rows], ["shared"])
