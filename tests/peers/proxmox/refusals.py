"""What a site says when it will not: wrong parameters, and things that are not there or in the way."""

from lab import NODE, Lab

UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
MISSING = "property is missing and it is not optional"
VMID = "invalid format - value does not look like a valid VM ID\n"
GONE = f"Configuration file 'nodes/{NODE}/qemu-server/999.conf' does not exist"


class Refusals(Lab):
    def test_every_wrong_parameter_is_named_at_once(self):
        clone = self.node.qemu(150).clone
        with self.wrong(newid=MISSING):
            clone.post()
        with self.wrong(
            newid="type check ('integer') failed - got 'abc'",
            full="type check ('boolean') failed - got 'true'",
            nmae=UNKNOWN,
        ):
            clone.post(newid="abc", full="true", nmae="x")
        with self.wrong(
            newid=VMID,
            name="invalid format - value does not look like a valid DNS name\n",
            format="value 'vdi' does not have a value in the enumeration 'raw, qcow2, vmdk'",
        ):
            clone.post(newid=99, name="a_b", format="vdi")

    def test_names_of_things_have_their_own_forms(self):
        clone = self.node.qemu(150).clone
        for parameter, value, why in [
            ("storage", "a/b", "storage ID 'a/b' contains illegal characters"),
            ("storage", "a", "storage ID 'a' cannot be shorter than 2 characters"),
            ("target", "a/b", "value does not look like a valid node name"),
            ("snapname", "1st", "invalid configuration ID '1st'"),
        ]:
            with self.subTest(value), self.wrong(**{parameter: f"invalid format - {why}\n"}):
                clone.post(newid=400, **{parameter: value})
        with self.wrong(storage="invalid format - storage ID 'a' cannot be shorter than 2 characters\n"):
            self.node.storage("a").status.get()

    def test_values_are_checked_by_type_size_and_choice(self):
        for option, value, why in [
            ("cores", 0, "value must have a minimum value of 1"),
            ("shares", 50_001, "value must have a maximum value of 50000"),
            ("cpulimit", "much", "type check ('number') failed - got 'much'"),
            ("bios", "coreboot", "value 'coreboot' does not have a value in the enumeration 'seabios, ovmf'"),
            ("description", "x" * 8193, "value may only be 8192 characters long"),
            ("tags", "a/b", "invalid format - invalid characters in tag\n"),
            ("serial0", "pty", "value does not match the regex pattern"),
            (
                "memory",
                "lots",
                "invalid format - format error\nmemory.current: type check ('integer') failed - got 'lots'\n",
            ),
            ("scsi1", "local-lvm:1,sdd=1", f"invalid format - format error\nscsi1.sdd: {UNKNOWN}\n"),
            (
                "scsi1",
                "local-lvm:1,ssd=2",
                "invalid format - format error\nscsi1.ssd: type check ('boolean') failed - got '2'\n",
            ),
            (
                "scsi1",
                "nonsense",
                "invalid format - format error\nscsi1.file: invalid format - unable to parse volume ID 'nonsense'\n\n",
            ),
            ("net0", "bridge=vmbr0", f"invalid format - format error\nnet0.model: {MISSING}\n"),
            ("ide2", "local-lvm:1,foo=1", f"invalid format - format error\nide2.foo: {UNKNOWN}\n"),
        ]:
            with self.subTest(option), self.wrong(**{option: why}):
                self.node.qemu.post(vmid=400, **{option: value})

    def test_a_list_may_come_as_words_or_twice_and_a_number_not(self):
        self.root.access.roles.post(roleid="Listed", privs=["VM.Audit", "VM.Clone"])
        self.addCleanup(self.root.access.roles("Listed").delete)
        self.assertEqual(set(self.root.access.roles("Listed").get()), {"VM.Audit", "VM.Clone"})
        with self.wrong(vmid="type check ('integer') failed - got ARRAY"):
            self.node.qemu.post(vmid=[400, 401])

    def test_a_machine_that_is_not_there_is_a_file_that_is_not_there(self):
        guest = self.node.qemu(999)
        for ask in [guest.config.get, guest.status.current.get, guest.pending.get, guest.delete, guest.template.post]:
            with self.refused(500, GONE):
                ask()
        for ask in [guest.config.put, guest.config.post]:
            with self.refused(500, GONE):
                ask(cores=1)
        for act in [guest.status.start, guest.status.stop, guest.status.shutdown]:
            self.assertEqual(self.done(act.post()), GONE)
        self.assertEqual(self.done(guest.resize.put(disk="scsi0", size="1G")), GONE)
        for ask in [guest.status.reset.post, guest.status.reboot.post, lambda: guest.clone.post(newid=400)]:
            with self.refused(500, f"unable to find configuration file for VM 999 on node '{NODE}'"):
                ask()

    def test_a_path_a_method_and_a_node_that_are_not_there(self):
        with self.refused(501, "Method 'GET /nothing/here' not implemented"):
            self.api.nothing.here.get()
        with self.refused(501, "Method 'PUT /version' not implemented"):
            self.api.version.put()
        lookup = "hostname lookup 'nope' failed - failed to get address info for: nope: Name or service not known"
        for ask in [self.api.nodes("nope").status.get, self.api.nodes("nope").qemu.get]:
            with self.refused(500, lookup):
                ask()

    def test_an_id_that_is_taken(self):
        with self.refused(500, f"unable to create VM 150 - VM 150 already exists on node '{NODE}'"):
            self.node.qemu.post(vmid=150)

    def test_storages_that_are_not_there_not_for_disks_or_switched_off(self):
        with self.refused(500, "storage 'nope' does not exist"):
            self.node.qemu.post(vmid=400, scsi0="nope:1")
        with self.wrong(storage="storage 'local' does not support vm images"):
            self.node.qemu.post(vmid=400, scsi0="local:1")
        with self.wrong(storage="storage 'local' does not support vm images"):
            self.node.qemu(150).clone.post(newid=400, full=1, storage="local")
        with self.wrong(storage="No such storage."):
            self.node.storage("nope").status.get()
        with self.refused(500, "storage 'nope' does not exist"):
            self.node.storage("nope").content.get()
        with self.refused(500, "update storage failed: storage 'nope' does not exist"):
            self.root.storage("nope").put(content="iso")
        self.root.storage("local-lvm").put(disable=1)
        self.addCleanup(self.root.storage("local-lvm").put, disable=0)
        with self.refused(500, "storage 'local-lvm' is disabled"):
            self.node.qemu(150).clone.post(newid=400, full=1, storage="local-lvm")
        row = next(row for row in self.node.storage.get() if row["storage"] == "local-lvm")
        self.assertEqual((row["enabled"], row["active"], row["total"]), (0, 0, 0))
        self.assertEqual([row["storage"] for row in self.node.storage.get(enabled=1)], ["local"])

    def test_drives_that_are_made_of_the_wrong_thing(self):
        iso = self.image("a.iso", content="iso")
        for drive, why in [
            (f"local-lvm:0,import-from={iso}", f"{iso} has wrong type 'iso' - needs to be 'images' or 'import'"),
            (
                "local-lvm:8,import-from=local:import/a.raw",
                "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>",
            ),
            (iso, "explicit 'media=cdrom' is required for iso images"),
        ]:
            with self.subTest(drive), self.wrong(scsi0=why):
                self.node.qemu.post(vmid=400, scsi0=drive)
        path = "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 651."
        with self.refused(500, path):
            self.node.qemu.post(vmid=400, scsi0="local-lvm:0,import-from=/var/lib/vz/a.raw")

    def test_an_agent_that_is_not_there(self):
        guest = self.guest(401)
        asks = [guest.agent("network-get-interfaces").get, guest.agent("get-osinfo").get, guest.agent.ping.post]

        def refused(why):
            for ask in asks:
                with self.refused(500, why):
                    ask()

        refused("No QEMU guest agent configured")
        guest.config.put(agent=1)
        refused("VM 401 is not running")
        self.ok(guest.status.start.post())
        refused("QEMU guest agent is not running")

    def test_a_parameter_that_contradicts_the_path(self):
        with self.wrong(vmid="duplicate parameter (already defined in URI) with conflicting values!"):
            self.node.qemu(150).config.get(vmid=151)
        self.assertEqual(self.node.qemu(150).config.get(vmid=150)["cores"], 4, "the same value is no contradiction")
