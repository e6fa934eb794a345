"""Tasks: how they end, their logs page by page, who sees which."""

from lab import NODE, USER, Lab, by_password, by_token
from proxmoxer.tools import Tasks


class TaskList(Lab):
    def test_a_status_tells_user_and_token_apart(self):
        upid = self.ok(self.node.qemu(151).status.stop.post())
        status = self.node.tasks(upid).status.get()
        parts = Tasks.decode_upid(upid)
        for key in ["upid", "node", "pid", "pstart", "starttime", "type", "id"]:
            self.assertEqual(status[key], parts[key], key)
        self.assertEqual((status["user"], status["tokenid"]), (USER, "installer"))
        self.assertEqual((status["status"], status["exitstatus"]), ("stopped", "OK"))

    def test_a_log_is_read_in_windows_and_counts_its_lines(self):
        image = self.image("log.raw")
        upid = self.ok(self.node.qemu.post(vmid=600, scsi0=f"local-lvm:0,import-from={image}"))
        self.addCleanup(self.destroy, 600)
        log = self.node.tasks(upid).log
        whole = log.get(limit=0)
        self.assertGreater(len(whole), 60)
        self.assertEqual([line["n"] for line in whole], list(range(1, len(whole) + 1)))
        self.assertEqual(log.get(), whole[:50])
        self.assertEqual(log.get(start=10, limit=5), whole[10:15])
        self.assertEqual(log.get(start=len(whole) - 1), [{"n": len(whole), "t": "TASK OK"}])
        self.assertEqual(log.get(start=len(whole)), [])
        self.assertTrue(Tasks.decode_log(whole).endswith("\nTASK OK"))

    def test_a_failure_is_the_last_line_and_the_exit_status(self):
        upid = self.node.qemu(150).status.start.post()
        self.assertEqual(self.done(upid), "VM 150 already running")
        self.assertEqual(self.log(upid)[-1], "TASK ERROR: VM 150 already running")

    def test_a_task_that_is_not_there_has_no_status_but_a_log_that_says_so(self):
        never = f"UPID:{NODE}:0000ABCD:05F5E100:68FB0C11:qmstart:100:{USER}!installer:"
        for ask in [self.node.tasks(never).status.get, self.node.tasks(never).delete]:
            with self.wrong(upid="no such task"):
                ask()
        self.assertEqual(
            self.node.tasks(never).log.get(), [{"n": 1, "t": "unable to open file - No such file or directory"}]
        )
        for ask in [self.node.tasks("UPID:nonsense").status.get, self.node.tasks("UPID:nonsense").log.get]:
            with self.wrong(upid="unable to parse worker upid"):
                ask()

    def test_a_list_is_filtered_and_begins_with_the_newest(self):
        done = self.ok(self.node.qemu.post(vmid=601, scsi0="local-lvm:1"))
        self.addCleanup(self.destroy, 601)
        failed = self.node.qemu(601).resize.put(disk="scsi9", size="2G")
        self.done(failed)

        def upids(**query):
            return [row["upid"] for row in self.node.tasks.get(**query)]

        self.assertEqual(upids(vmid=601), [failed, done])
        self.assertEqual(upids(vmid=601, errors=1), [failed])
        self.assertEqual(upids(vmid=601, statusfilter="ok"), [done])
        self.assertEqual(upids(vmid=601, typefilter="qmcreate"), [done])
        self.assertEqual(upids(vmid=601, start=1, limit=1), [done])
        self.assertEqual(upids(vmid=601, userfilter="COZYUP"), [failed, done])
        self.assertEqual(upids(vmid=601, since=2**31), [])
        row = self.node.tasks.get(vmid=601, errors=1)[0]
        self.assertEqual(
            (row["status"], row["user"], row["tokenid"]), ("disk 'scsi9' does not exist", USER, "installer")
        )
        self.assertGreaterEqual(row["endtime"], row["starttime"])

    def test_a_token_sees_its_own_tasks_and_a_user_also_those_of_its_tokens(self):
        users = self.root.access.users
        users.post(userid="owner@pve", password="long enough")
        self.addCleanup(users("owner@pve").delete)
        self.root.access.acl.put(path="/vms/151", roles="PVEVMUser", users="owner@pve")
        secret = users("owner@pve").token("own").post(privsep=0)["value"]
        token, owner = by_token("owner@pve", "own", secret), by_password("owner@pve", "long enough")
        upid = self.ok(token.nodes(NODE).qemu(151).status.stop.post(), token)
        theirs = self.ok(owner.nodes(NODE).qemu(151).status.stop.post(), owner)

        def seen(api):
            return {row["upid"] for row in api.nodes(NODE).tasks.get()}

        self.assertEqual(seen(token), {upid})
        self.assertEqual(seen(owner), {upid, theirs})
        self.assertLess({upid, theirs}, seen(self.api), "who may audit the node sees all")
        with self.refused(403, f"Permission check failed (/nodes/{NODE}, Sys.Audit)"):
            token.nodes(NODE).tasks(theirs).status.get()
        with self.refused(403, f"Permission check failed (/nodes/{NODE}, Sys.Modify)"):
            token.nodes(NODE).tasks(theirs).delete()
        self.assertEqual(token.cluster.tasks.get(), [], "the cluster's list compares users without tokens")
        self.assertEqual({row["upid"] for row in owner.cluster.tasks.get()}, {upid, theirs})
