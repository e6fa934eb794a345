"""A machine's life: made, configured, cloned, resized, started, stopped, destroyed."""

import re

from lab import Lab, eventually

MACHINE = {
    "name": "cozy-talos",
    "ostype": "l26",
    "cpu": "host",
    "sockets": 1,
    "cores": 4,
    "memory": 8192,
    "balloon": 0,
    "scsihw": "virtio-scsi-pci",
    "ide2": "local-lvm:cloudinit",
    "net0": "virtio,bridge=vmbr0",
    "serial0": "socket",
    "boot": "order=scsi0",
    "tags": "Talos;cozystack talos",
    "ipconfig0": "ip=10.0.0.11/24,gw=10.0.0.1",
    "description": "made by a test\nin two lines",
    "onboot": 1,
}


class Guests(Lab):
    def template(self, vmid=9000):
        image = self.image(f"talos-{vmid}.raw")
        drive = f"local-lvm:0,import-from={image},discard=on,ssd=1"
        guest = self.guest(vmid, **{**MACHINE, "scsi0": drive})
        self.ok(guest.template.post())
        return guest

    def test_a_machine_is_made_with_what_was_asked_and_what_the_server_adds(self):
        image = self.image("made.raw")
        upid = self.node.qemu.post(vmid=700, **{**MACHINE, "scsi0": f"local-lvm:0,import-from={image},ssd=1"})
        self.addCleanup(self.destroy, 700)
        self.assertEqual(upid.split(":")[5:7], ["qmcreate", "700"])
        self.ok(upid)
        config = self.config(700)
        self.assertEqual(config["scsi0"], "local-lvm:vm-700-disk-0,size=4M,ssd=1")
        self.assertEqual(config["ide2"], "local-lvm:vm-700-cloudinit,media=cdrom")
        self.assertRegex(config["net0"], r"^virtio=BC:24:11:[0-9A-F:]{8},bridge=vmbr0$")
        self.assertRegex(config["smbios1"], r"^uuid=[0-9a-f-]{36}$")
        self.assertRegex(config["vmgenid"], r"^[0-9a-f-]{36}$")
        self.assertRegex(config["meta"], r"^creation-qemu=[0-9.]+,ctime=\d+$")
        self.assertEqual((config["tags"], config["memory"], config["cores"]), ("cozystack;talos", "8192", 4))
        self.assertEqual(config["description"], MACHINE["description"])
        self.assertNotIn("lock", config)
        lines = self.log(upid)
        self.assertIn('  Logical volume "vm-700-disk-0" created.', lines)
        self.assertIn("scsi0: successfully created disk 'local-lvm:vm-700-disk-0,size=4M,ssd=1'", lines)
        transferred = [line for line in lines if line.startswith("transferred ")]
        self.assertTrue(transferred[-1].endswith("(100.00%)"), transferred)

    def test_a_machine_without_a_boot_order_gets_one_and_may_be_started_at_once(self):
        guest = self.guest(701, net0="virtio,bridge=vmbr0", start=1)
        self.assertEqual(self.config(701)["boot"], "order=scsi0;net0")
        eventually(lambda: guest.status.current.get()["status"] == "running", "the VM runs")

    def test_a_change_is_a_task_by_post_and_at_once_by_put(self):
        guest = self.guest(702)
        upid = self.ok(guest.config.post(cores=2, cipassword="hunter2", description="x"))
        self.assertEqual(self.log(upid)[0], "update VM 702: -cipassword <hidden> -cores 2 -description x")
        self.assertEqual((self.config(702)["cores"], self.config(702)["cipassword"]), (2, "**********"))
        self.assertIsNone(guest.config.put(cores=3, delete="description"))
        self.assertEqual(self.config(702)["cores"], 3)
        self.assertNotIn("description", self.config(702))
        with self.refused(500, "no options specified"):
            guest.config.put()
        with self.wrong(delete="unknown option 'nonsense'"):
            guest.config.put(delete="nonsense")
        with self.refused(500, "balloon value too large (must be smaller than assigned memory)"):
            guest.config.put(balloon=1024)

    def test_a_change_may_be_waited_for(self):
        guest = self.guest(706)
        self.assertIsNone(guest.config.post(cores=2, background_delay=30))
        self.assertEqual(self.config(706)["cores"], 2)
        missing = "failed to update VM 706: invalid bootorder: device 'scsi7' does not exist'"
        with self.refused(500, missing):
            guest.config.post(boot="order=scsi7", background_delay=30)

    def test_a_digest_guards_against_somebody_elses_change(self):
        guest = self.guest(703)
        digest = self.config(703)["digest"]
        guest.config.put(cores=2, digest=digest)
        for change in [guest.config.put, guest.config.post]:
            with self.refused(500, "checksum mismatch (file change by other user?)"):
                change(cores=4, digest=digest)

    def test_a_running_machine_keeps_what_it_can_not_take_until_it_starts_again(self):
        guest = self.guest(704, cores=1)
        self.ok(guest.status.start.post())
        guest.config.put(cores=2, name="renamed")
        self.assertEqual(guest.config.get()["cores"], 2)
        self.assertEqual(guest.config.get(current=1)["cores"], 1)
        pending = {row["key"]: row for row in guest.pending.get()}
        self.assertEqual((pending["cores"]["value"], pending["cores"]["pending"]), (1, 2))
        self.assertNotIn("pending", pending["name"])
        self.ok(guest.status.reboot.post())
        self.assertEqual(guest.config.get(current=1)["cores"], 2)

    def test_disks_leave_their_slot_and_the_boot_order_and_cdroms_join_it(self):
        iso = self.image("tools.iso", content="iso")
        guest = self.guest(705, boot="order=scsi0")
        self.ok(guest.config.post(scsi1="local-lvm:2,discard=on,backup=0"))
        self.assertEqual(self.config(705)["scsi1"], "local-lvm:vm-705-disk-1,backup=0,discard=on,size=2G")
        self.ok(guest.config.post(ide2=f"{iso},media=cdrom"))
        self.assertEqual(self.config(705)["boot"], "order=scsi0;ide2")
        self.ok(guest.config.post(delete="scsi0"))
        self.assertEqual(
            (self.config(705)["boot"], self.config(705)["unused0"]), ("order=ide2", "local-lvm:vm-705-disk-0")
        )
        guest.unlink.put(idlist="unused0")
        self.assertNotIn("unused0", self.config(705))
        missing = self.done(guest.config.post(boot="order=scsi0"))
        self.assertEqual(missing, "invalid bootorder: device 'scsi0' does not exist'")
        with self.refused(500, "invalid bootorder: device 'net5' does not exist'"):
            guest.config.put(boot="order=net5")

    def test_a_template_has_base_disks_and_can_be_neither_started_nor_made_again(self):
        guest = self.template(9001)
        config = self.config(9001)
        self.assertEqual((config["template"], config["scsi0"].split(",")[0]), (1, "local-lvm:base-9001-disk-0"))
        self.assertEqual(guest.feature.get(feature="clone")["hasFeature"], 1)
        self.assertEqual(self.done(guest.status.start.post()), "you can't start a vm if it's a template")
        with self.refused(500, "you can't convert a template to a template"):
            guest.template.post()

    def test_a_full_clone_has_everything_but_what_makes_a_machine_itself(self):
        source = self.template(9002)
        upid = source.clone.post(newid=710, name="cp1", full=1, storage="local-lvm")
        self.addCleanup(self.destroy, 710)
        self.assertEqual(upid.split(":")[5:7], ["qmclone", "9002"], "the task bears the template's id")
        self.ok(upid)
        old, new = self.config(9002), self.config(710)
        differ = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
        self.assertEqual(differ, {"name", "net0", "smbios1", "vmgenid", "scsi0", "ide2", "template", "digest"})
        self.assertEqual(new["scsi0"], "local-lvm:vm-710-disk-0,discard=on,size=4M,ssd=1")
        self.assertEqual(new["ide2"], "local-lvm:vm-710-cloudinit,media=cdrom,size=4M")
        lines = self.log(upid)
        self.assertEqual(lines[0], "create full clone of drive ide2 (local-lvm:vm-9002-cloudinit)")
        self.assertIn("create full clone of drive scsi0 (local-lvm:base-9002-disk-0)", lines)
        self.assertTrue(any(re.fullmatch(r"transferred \S+ \S+ of \S+ \S+ \(\d+\.\d\d%\)", line) for line in lines))

    def test_a_linked_clone_is_a_templates_default_and_takes_no_storage(self):
        source = self.template(9003)
        self.ok(source.clone.post(newid=711))
        self.addCleanup(self.destroy, 711)
        self.assertEqual(self.config(711)["name"], "Copy-of-VM-cozy-talos")
        with self.refused(500, "parameter 'storage' not allowed for linked clones"):
            source.clone.post(newid=712, storage="local-lvm")
        with self.refused(500, "parameter 'format' not allowed for linked clones"):
            source.clone.post(newid=712, format="raw")
        with self.refused(500, "unable to create VM 150: config file already exists"):
            source.clone.post(newid=150)
        plain = self.guest(713)
        with self.refused(500, "Linked clone feature is not supported for 'local-lvm:vm-713-disk-0' (scsi0)"):
            plain.clone.post(newid=712, full=0)

    def test_a_disk_grows_and_never_shrinks(self):
        guest = self.guest(716)
        self.ok(guest.resize.put(disk="scsi0", size="5G"))
        self.ok(guest.resize.put(disk="scsi0", size="5G"))
        self.ok(guest.resize.put(disk="scsi0", size="+1G"))
        self.assertTrue(self.config(716)["scsi0"].endswith(",size=6G"))
        for disk, size, why in [
            ("scsi0", "1G", "shrinking disks is not supported"),
            ("scsi9", "9G", "disk 'scsi9' does not exist"),
        ]:
            self.assertEqual(self.done(guest.resize.put(disk=disk, size=size)), why)
        with self.wrong(size="value does not match the regex pattern"):
            guest.resize.put(disk="scsi0", size="big")

    def test_power_is_a_task_that_is_content_with_what_is_so_already_except_a_start(self):
        guest = self.guest(717)
        self.ok(guest.status.stop.post())
        self.ok(guest.status.shutdown.post())
        upid = self.ok(guest.status.start.post())
        self.assertEqual(upid.split(":")[5:7], ["qmstart", "717"])
        status = guest.status.current.get()
        self.assertEqual((status["status"], status["running-qemu"]), ("running", "10.1.2"))
        self.assertEqual(self.done(guest.status.start.post()), "VM 717 already running")
        self.ok(guest.status.reset.post())
        with self.refused(500, "VM 717 is running - destroy failed"):
            guest.delete()
        self.ok(guest.status.shutdown.post())
        for act in [guest.status.reset, guest.status.reboot]:
            with self.refused(500, "VM 717 not running"):
                act.post()

    def test_what_only_the_start_can_know_fails_the_start(self):
        guest = self.guest(718, net0="virtio,bridge=vmbr9")
        start = guest.status.start.post()
        self.assertEqual(self.done(start), "start failed: QEMU exited with code 1")
        self.assertIn("bridge 'vmbr9' does not exist", self.log(start))
        guest.config.put(delete="net0", cores=64)
        self.assertEqual(self.done(guest.status.start.post()), "MAX 48 vcpus allowed per VM on this node")

    def test_a_protected_machine_stays_and_any_other_goes_with_its_disks(self):
        guest = self.guest(719, protection=1)
        with self.refused(500, "can't remove VM 719 - protection mode enabled"):
            guest.delete()
        guest.config.put(protection=0)
        upid = self.ok(guest.delete(purge=1, **{"destroy-unreferenced-disks": 1}))
        self.assertEqual(
            self.log(upid),
            [
                '  Logical volume "vm-719-disk-0" successfully removed.',
                "purging VM 719 from related configurations..",
                "TASK OK",
            ],
        )
        self.assertEqual(self.node.storage("local-lvm").content.get(vmid=719), [])
        with self.refused(500, "Configuration file 'nodes/pve/qemu-server/719.conf' does not exist"):
            guest.config.get()
        self.assertEqual(self.node.tasks(upid).status.get()["exitstatus"], "OK", "its tasks can still be read")

    def test_a_create_that_fails_leaves_nothing(self):
        upid = self.node.qemu.post(vmid=720, scsi0="local-lvm:1", scsi1="local-lvm:0,import-from=local:import/no.raw")
        why = self.done(upid)
        self.assertEqual(why, "unable to create VM 720 - failed to stat '/var/lib/vz/import/no.raw'")
        self.assertEqual(self.node.storage("local-lvm").content.get(vmid=720), [])
        with self.refused(500, "Configuration file 'nodes/pve/qemu-server/720.conf' does not exist"):
            self.config(720)
