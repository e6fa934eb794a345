"""Work that is under way: what it holds, what its task shows, and what is left when it is stopped."""

from lab import NODE, USER, Lab, eventually


class Held(Lab):
    def begin(self, upid):
        """Stops this task when the test ends."""
        self.addCleanup(self.node.tasks(upid).delete)
        return upid

    def clone(self, source, newid):
        upid = self.begin(self.node.qemu(source).clone.post(newid=newid, full=1))
        eventually(lambda: any(row["vmid"] == newid for row in self.node.qemu.get()), "the clone is listed")
        return upid

    def test_a_machine_that_is_being_made_has_its_id_and_a_lock(self):
        image = self.image("made.raw")
        upid = self.begin(self.node.qemu.post(vmid=400, name="made", scsi0=f"local-lvm:0,import-from={image}"))
        self.assertEqual(self.config(400)["lock"], "create")
        self.assertEqual(self.node.qemu(400).status.current.get()["lock"], "create")
        with self.wrong(vmid="VM 400 already exists"):
            self.api.cluster.nextid.get(vmid=400)
        with self.refused(500, "VM is locked (create)"):
            self.node.qemu(400).config.put(cores=1)
        self.assertIsNone(self.node.tasks(upid).delete())
        self.assertEqual(self.done(upid), "unable to create VM 400 - received interrupt")
        self.assertEqual(self.node.storage("local-lvm").content.get(vmid=400), [])

    def test_a_clone_under_way_refuses_whatever_else_one_wants_of_its_machine(self):
        self.guest(401)
        upid = self.clone(401, 402)
        held = self.node.qemu(402)
        self.assertEqual(held.config.get()["lock"], "clone")
        for change in [held.config.put, held.config.post]:
            with self.refused(500, "VM is locked (clone)"):
                change(cores=1)
        for act in [lambda: held.clone.post(newid=403), held.template.post]:
            with self.refused(500, "VM is locked (clone)"):
                act()
        for act in [held.status.start.post, held.delete, lambda: held.resize.put(disk="scsi0", size="9G")]:
            self.assertEqual(self.done(act()), "VM is locked (clone)")
        self.ok(held.status.stop.post())
        with self.refused(500, "unable to create VM 402: config file already exists"):
            self.node.qemu(401).clone.post(newid=402)
        self.assertEqual(self.node.tasks(upid).status.get()["status"], "running")

    def test_clones_of_one_machine_run_side_by_side(self):
        self.guest(404)
        both = [self.clone(404, 405), self.clone(404, 406)]
        for upid in both:
            self.assertEqual(self.node.tasks(upid).status.get()["status"], "running")
            eventually(lambda: any(line.startswith("transferred ") for line in self.log(upid)), "it copies")

    def test_a_running_tasks_log_grows_and_has_no_end(self):
        self.guest(407)
        upid = self.clone(407, 408)
        log = self.node.tasks(upid).log
        eventually(lambda: len(log.get(limit=0)) > 2, "two lines of progress")
        before = log.get(limit=0)
        eventually(lambda: len(log.get(limit=0)) > len(before), "one more")
        after = log.get(limit=0)
        self.assertEqual(after[: len(before)], before)
        self.assertFalse([line for line in after if line["t"].startswith("TASK ")])
        self.assertNotIn("exitstatus", self.node.tasks(upid).status.get())

    def test_a_running_task_is_active_and_not_in_the_archive(self):
        self.guest(409)
        upid = self.clone(409, 410)
        (row,) = self.node.tasks.get(source="active", vmid=409)
        # Only the archive takes user and token apart.
        self.assertEqual((row["upid"], row["status"], row["user"]), (upid, "RUNNING", f"{USER}!installer"))
        self.assertNotIn("endtime", row)
        archive = [row["upid"] for row in self.node.tasks.get(vmid=409)]
        self.assertNotIn(upid, archive)
        self.assertEqual([row["upid"] for row in self.node.tasks.get(source="all", vmid=409)], [upid, *archive])

    def test_a_clone_that_is_stopped_takes_back_what_it_made(self):
        self.guest(411)
        upid = self.clone(411, 412)
        self.assertIsNone(self.node.tasks(upid).delete())
        self.assertEqual(self.done(upid), "clone failed: interrupted by signal")
        self.assertEqual(self.log(upid)[-1], "TASK ERROR: clone failed: interrupted by signal")
        self.assertEqual(self.node.storage("local-lvm").content.get(vmid=412), [])
        with self.refused(500, f"Configuration file 'nodes/{NODE}/qemu-server/412.conf' does not exist"):
            self.config(412)
