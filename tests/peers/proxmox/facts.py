"""What a site says of itself: the shapes and types that clients rely on."""

import re

from lab import NODE, SITE, Lab


class Facts(Lab):
    def test_the_version_is_three_texts(self):
        version = self.api.version.get()
        self.assertEqual((version["version"], version["release"]), ("9.1.2", "9.1"))
        self.assertRegex(version["repoid"], r"^[0-9a-f]{16}$")
        self.assertEqual(self.node.version.get(), version)

    def test_nodes_carry_the_certificates_fingerprint(self):
        (node,) = self.api.nodes.get()
        self.assertEqual((node["node"], node["status"], node["ssl_fingerprint"]), (NODE, "online", SITE["fingerprint"]))
        self.assertTrue(all(isinstance(node[key], int) for key in ["maxcpu", "mem", "maxmem", "disk", "uptime"]))

    def test_a_host_reports_itself_with_perls_types(self):
        status = self.node.status.get()
        self.assertEqual(status["cpuinfo"]["hvm"], "1")
        self.assertTrue(all(isinstance(load, str) for load in status["loadavg"]))
        self.assertIsInstance(status["memory"]["available"], int)
        self.assertEqual(self.node.time.get()["timezone"], "UTC")
        self.assertEqual(self.node.subscription.get()["status"], "notfound")

    def test_a_standalone_host_is_no_cluster(self):
        (node,) = self.api.cluster.status.get()
        self.assertEqual((node["type"], node["id"], node["nodeid"], node["local"]), ("node", f"node/{NODE}", 0, 1))

    def test_the_next_vmid_is_a_text_and_a_taken_one_an_error(self):
        self.assertEqual(self.api.cluster.nextid.get(), "100")
        self.assertEqual(self.api.cluster.nextid.get(vmid=200), "200")
        with self.wrong(vmid="VM 150 already exists"):
            self.api.cluster.nextid.get(vmid=150)

    def test_resources_are_pools_guests_nodes_storages_and_networks(self):
        self.root.pools.post(poolid="shown", comment="a pool")
        self.addCleanup(self.root.pools.delete, poolid="shown")
        rows = self.api.cluster.resources.get()
        self.assertEqual(
            [row["id"] for row in rows],
            [
                "/pool/shown",
                "qemu/150",
                "qemu/151",
                f"node/{NODE}",
                f"storage/{NODE}/local",
                f"storage/{NODE}/local-lvm",
                f"network/{NODE}/zone/localnetwork",
            ],
        )
        guest = self.api.cluster.resources.get(type="vm")[0]
        self.assertEqual((guest["vmid"], guest["template"], guest["status"]), (150, 0, "running"))
        self.assertNotIn("pid", guest)
        self.assertEqual(self.api.cluster.resources.get(type="sdn"), [])

    def test_storages_count_bytes(self):
        rows = {row["storage"]: row for row in self.node.storage.get()}
        local, thin = rows["local"], rows["local-lvm"]
        self.assertEqual((local["type"], local["active"], local["enabled"], local["shared"]), ("dir", 1, 1, 0))
        self.assertEqual(thin["total"] - thin["used"], thin["avail"])
        self.assertAlmostEqual(thin["used_fraction"], thin["used"] / thin["total"])
        self.assertEqual([row["storage"] for row in self.node.storage.get(content="images")], ["local-lvm"])
        self.assertEqual(
            [row["storage"] for row in self.node.storage.get(content="iso,images")], ["local", "local-lvm"]
        )
        status = self.node.storage("local").status.get()
        for row in (status, local):
            # The server's own order is another one in each answer.
            row["content"] = sorted(row["content"].split(","))
        self.assertEqual(status, {k: v for k, v in local.items() if k not in ("storage", "used_fraction")} | {})
        with self.wrong(storage="No such storage."):
            self.node.storage.get(storage="nope")

    def test_bridges_and_cards_are_told_apart(self):
        (bridge,) = self.node.network.get(type="any_bridge")
        self.assertEqual((bridge["iface"], bridge["type"], bridge["active"]), ("vmbr0", "bridge", 1))
        self.assertEqual({row["iface"] for row in self.node.network.get()}, {"vmbr0", "eno1"}, "in any order")

    def test_a_guest_that_runs_has_counters_and_no_pending_change(self):
        status = self.node.qemu(150).status.current.get()
        self.assertEqual((status["vmid"], status["status"], status["qmpstatus"]), (150, "running", "running"))
        self.assertEqual(status["ha"], {"managed": 0})
        self.assertIsInstance(status["pid"], int)
        self.assertIsInstance(status["cpu"], float)
        self.assertEqual(status["memhost"], status["mem"])
        row = next(row for row in self.node.qemu.get() if row["vmid"] == 150)
        self.assertEqual(row["name"], status["name"])

    def test_numbers_of_a_configuration_are_numbers_except_the_memory(self):
        config = self.config(150)
        self.assertEqual((config["cores"], config["sockets"], config["memory"]), (4, 1, "16384"))
        self.assertTrue(re.fullmatch(r"[0-9a-f]{40}", config["digest"]))
        self.assertRegex(config["net0"], r"^virtio=BC:24:11(:[0-9A-F]{2}){3},bridge=vmbr0$")
        self.assertNotIn("vmid", config)

    def test_what_a_host_can_be_told_to_be(self):
        models = {row["name"] for row in self.node.capabilities.qemu.cpu.get()}
        self.assertLessEqual({"host", "x86-64-v2-AES"}, models)
        self.assertIn("q35", {row["type"] for row in self.node.capabilities.qemu.machines.get()})
        self.assertEqual(self.api.cluster.options.get()["mac_prefix"], "BC:24:11")
        self.assertEqual(self.api.cluster.ha.resources.get(), [])
        self.assertEqual(self.api.cluster.sdn.vnets.get(), [])
