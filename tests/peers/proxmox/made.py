"""What the product has made of the site by the end of day 1, as somebody else's client finds it."""

from lab import TOKEN, USER, Lab
from proxmoxer.tools import Tasks

TEMPLATE = 9100
MACHINES = {1001: "cozy-new-cp1", 1002: "cozy-new-cp2", 1003: "cozy-new-cp3", 1011: "cozy-new-worker1"}


class Made(Lab):
    def test_there_is_one_template_and_every_machine_of_the_plan(self):
        found = {row["vmid"]: row["name"] for row in self.node.qemu.get()}
        self.assertEqual({vmid: found.get(vmid) for vmid in MACHINES}, MACHINES)
        self.assertEqual(set(found), {150, 151, TEMPLATE, *MACHINES}, "and nothing else")
        template = self.config(TEMPLATE)
        self.assertEqual((template["template"], template["scsi0"].split(",")[0]), (1, "local-lvm:base-9100-disk-0"))

    def test_every_machine_is_itself(self):
        macs, uuids, addresses = set(), set(), set()
        for vmid in MACHINES:
            config = self.config(vmid)
            macs.add(config["net0"].split(",")[0])
            uuids.add(config["smbios1"])
            addresses.add(config["ipconfig0"])
            self.assertNotIn("lock", config)
            self.assertNotIn("template", config)
        for distinct in (macs, uuids, addresses):
            self.assertEqual(len(distinct), len(MACHINES))

    def test_every_machine_runs_with_the_size_of_the_plan(self):
        for vmid in MACHINES:
            config, status = self.config(vmid), self.node.qemu(vmid).status.current.get()
            self.assertEqual(status["status"], "running")
            self.assertEqual((config["cores"], config["memory"]), (8, "24576"))
            self.assertEqual(config["boot"], "order=scsi0")
            sizes = [config[slot].rsplit("size=", 1)[1].split(",")[0] for slot in ("scsi0", "scsi1")]
            self.assertEqual(sizes, ["50G", "256G"])
            self.assertFalse([row for row in self.node.qemu(vmid).pending.get() if "pending" in row or "delete" in row])

    def test_every_task_was_the_installers_and_ended_well(self):
        rows = self.node.tasks.get(limit=1000)
        self.assertEqual({(row["user"], row["tokenid"], row["status"]) for row in rows}, {(USER, TOKEN, "OK")})
        made = [row["upid"] for row in rows if row["type"] in ("qmcreate", "qmclone", "qmstart", "imgcopy")]
        kinds = sorted(Tasks.decode_upid(upid)["type"] for upid in made)
        clones, starts = ["qmclone"] * len(MACHINES), ["qmstart"] * len(MACHINES)
        self.assertEqual(kinds, ["imgcopy", *clones, "qmcreate", *starts], "each of them once")
        self.assertEqual(self.node.tasks.get(source="active"), [])

    def test_the_image_is_there_once(self):
        (image,) = self.node.storage("local").content.get(content="import")
        self.assertEqual(image["format"], image["volid"].rsplit(".", 1)[1])
        disks = self.node.storage("local-lvm").content.get()
        owners = sorted(row["vmid"] for row in disks)
        # The template has its disk; every machine that, a data disk and a cloud-init drive.
        self.assertEqual(owners, sorted([TEMPLATE] + list(MACHINES) * 3))
