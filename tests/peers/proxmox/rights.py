"""Roles, users, tokens, rights and pools, as an administrator makes them, and what those with fewer rights get to see."""

import itertools

from lab import NODE, TOKEN, USER, Lab, by_password, by_token

NUMBER = itertools.count()


class Rights(Lab):
    def somebody(self, *grants):
        """A user of its own with these roles: `(path, role)` or `(path, role, propagate)`."""
        user = f"somebody{next(NUMBER)}@pve"
        self.root.access.users.post(userid=user, password="long enough")
        self.addCleanup(self.root.access.users(user).delete)
        for path, role, *propagate in grants:
            self.root.access.acl.put(path=path, roles=role, users=user, propagate=int((propagate or [True])[0]))
        return by_password(user, "long enough"), user

    def role(self, *privileges):
        role = f"Role{next(NUMBER)}"
        self.root.access.roles.post(roleid=role, privs=",".join(privileges))
        self.addCleanup(self.root.access.roles(role).delete)
        return role

    def test_a_token_apart_needs_rights_of_its_own_and_gets_at_most_its_users(self):
        _, user = self.somebody(("/", "PVEAuditor"))
        made = self.root.access.users(user).token("apart").post()
        self.assertEqual((made["full-tokenid"], made["info"]), (f"{user}!apart", {"privsep": 1}))
        token = by_token(user, "apart", made["value"])
        self.assertEqual(token.access.permissions.get(), {})
        self.assertEqual(token.nodes(NODE).qemu.get(), [], "nothing is refused, it is only not there")
        self.root.access.acl.put(path="/vms", roles="Administrator", tokens=f"{user}!apart")
        self.assertEqual(token.access.permissions.get()["/vms"], self.root.access.roles("PVEAuditor").get())
        self.assertEqual(len(token.nodes(NODE).qemu.get()), 2)
        self.root.access.users(user).token("apart").put(privsep=0)
        self.assertIn("Sys.Audit", token.access.permissions.get()["/"])

    def test_every_list_holds_only_what_the_caller_may_see(self):
        nobody, _ = self.somebody()
        node = nobody.nodes(NODE)
        self.assertEqual(node.qemu.get(), [])
        self.assertEqual(node.storage.get(), [])
        self.assertEqual(nobody.storage.get(), [])
        self.assertEqual(node.network.get(type="any_bridge"), [])
        self.assertEqual(nobody.pools.get(), [])
        self.assertEqual(node.tasks.get(), [])
        self.assertEqual(nobody.access.acl.get(), [])
        self.assertEqual([row["type"] for row in nobody.cluster.resources.get()], ["node"])
        (row,) = nobody.nodes.get()
        self.assertNotIn("maxmem", row)
        self.assertEqual(len(nobody.access.users.get()), 1)
        self.assertEqual(nobody.cluster.options.get(), {"allowed-tags": []})

        some, _ = self.somebody(("/vms/150", "PVEVMUser"), ("/storage/local", "PVEDatastoreUser"))
        self.assertEqual([row["vmid"] for row in some.nodes(NODE).qemu.get()], [150])
        self.assertEqual([row["storage"] for row in some.nodes(NODE).storage.get()], ["local"])
        self.assertEqual([row["id"] for row in some.cluster.resources.get(type="vm")], ["qemu/150"])

    def test_a_disk_is_listed_for_who_may_change_its_machine(self):
        self.guest(500)
        some, user = self.somebody(("/storage/local-lvm", "PVEDatastoreUser"))
        disks = some.nodes(NODE).storage("local-lvm").content
        self.assertEqual(disks.get(vmid=500), [])
        self.root.access.acl.put(path="/vms/500", roles="PVEVMAdmin", users=user)
        self.assertEqual([row["volid"] for row in disks.get(vmid=500)], ["local-lvm:vm-500-disk-0"])

    def test_simple_rights_name_object_and_privilege(self):
        nobody, _ = self.somebody()
        node = nobody.nodes(NODE)
        for ask, missing in [
            (node.qemu(150).config.get, "/vms/150, VM.Audit"),
            (node.qemu(999).config.get, "/vms/999, VM.Audit"),
            (node.qemu(150).status.start.post, "/vms/150, VM.PowerMgmt"),
            (node.qemu(150).delete, "/vms/150, VM.Allocate"),
            (node.qemu(150).template.post, "/vms/150, VM.Allocate"),
            (node.status.get, f"/nodes/{NODE}, Sys.Audit"),
            (nobody.cluster.status.get, "/, Sys.Audit"),
            (nobody.storage("local").get, "/storage/local, Datastore.Allocate"),
            (node.storage("local").content("local:iso/x.iso").delete, "/storage/local, Datastore.Allocate"),
            (lambda: node.qemu(150).clone.post(newid=501), "/vms/150, VM.Clone"),
            (lambda: node.qemu(150).resize.put(disk="scsi0", size="1G"), "/vms/150, VM.Config.Disk"),
            (lambda: nobody.pools.post(poolid="p"), "/pool/p, Pool.Allocate"),
            (lambda: nobody.access.roles.post(roleid="R"), "/access, Sys.Modify"),
            (lambda: nobody.access.users.post(userid="x@pve"), "/access/realm/pve, Realm.AllocateUser"),
            (lambda: nobody.storage("local").put(content="iso"), "/storage, Datastore.Allocate"),
        ]:
            with self.refused(403, f"Permission check failed ({missing})"):
                ask()

    def test_any_of_several_rights_are_all_named_and_alternatives_are_not(self):
        nobody, _ = self.somebody()
        node = nobody.nodes(NODE)
        with self.refused(403, "Permission check failed (/storage/local, Datastore.Audit|Datastore.AllocateSpace)"):
            node.storage("local").content.get()
        config = "Disk|VM.Config.CDROM|VM.Config.CPU|VM.Config.Memory|VM.Config.Network|VM.Config.HWType"
        config = f"VM.Config.{config}|VM.Config.Options|VM.Config.Cloudinit"
        with self.refused(403, f"Permission check failed (/vms/150, {config})"):
            node.qemu(150).config.put(cores=1)
        with self.refused(403, "Permission check failed"):
            node.qemu.post(vmid=502)
        with self.refused(403, "Permission check failed"):
            node("query-url-metadata").get(url="https://x.example/")
        some, _ = self.somebody(("/vms/150", "PVETemplateUser"))
        with self.refused(403, "Permission check failed"):
            some.nodes(NODE).qemu(150).clone.post(newid=502)
        some, _ = self.somebody(("/storage/local", "PVEDatastoreAdmin"))
        with self.refused(403, "Permission check failed"):
            download = some.nodes(NODE).storage("local")("download-url")
            download.post(url="https://x.example/a.iso", content="iso", filename="a.iso")

    def test_wrong_parameters_come_before_rights_that_are_looked_at_inside(self):
        nobody, _ = self.somebody()
        with self.wrong(vmid="type check ('integer') failed - got 'abc'"):
            nobody.nodes(NODE).qemu.post(vmid="abc")
        with self.refused(403, "Permission check failed (pool 'nope' does not exist)"):
            nobody.nodes(NODE).qemu.post(vmid=502, pool="nope")

    def test_an_upload_without_the_right_is_refused_before_it_is_read(self):
        nobody, _ = self.somebody()
        with self.refused(403, "Permission check failed (/storage/local, Datastore.AllocateTemplate)", {"errors": b""}):
            nobody.nodes(NODE).storage("local").upload.post(content="iso", filename="x")

    def test_a_card_needs_its_bridge_and_a_tag_its_network(self):
        some, user = self.somebody(("/vms", "PVEVMAdmin"))
        nodes = some.nodes(NODE)
        bridge = "/sdn/zones/localnetwork/vmbr0"
        with self.refused(403, f"Permission check failed ({bridge}, SDN.Use)"):
            nodes.qemu.post(vmid=503, net0="virtio,bridge=vmbr0")
        with self.refused(403, f"Permission check failed ({bridge}/100, SDN.Use)"):
            nodes.qemu.post(vmid=503, net0="virtio,bridge=vmbr0,tag=100")
        self.root.access.acl.put(path=f"{bridge}/100", roles="PVESDNUser", users=user)
        self.ok(nodes.qemu.post(vmid=503, net0="virtio,bridge=vmbr0,tag=100"), some)
        self.addCleanup(self.destroy, 503)
        with self.refused(403, f"Permission check failed ({bridge}, SDN.Use)"):
            nodes.qemu(503).config.put(net1="virtio,bridge=vmbr0")

    def test_disks_need_space_on_their_storage(self):
        some, _ = self.somebody(("/vms", "PVEVMAdmin"))
        space = "Permission check failed (/storage/local-lvm, Datastore.AllocateSpace)"
        with self.refused(403, space):
            some.nodes(NODE).qemu.post(vmid=504, scsi0="local-lvm:1")
        self.guest(504)
        guest = some.nodes(NODE).qemu(504)
        with self.refused(403, space):
            guest.clone.post(newid=505)
        # What a worker is refused bears the status in front.
        self.assertEqual(self.done(guest.resize.put(disk="scsi0", size="2G")), f"403 {space}")
        with self.refused(403, "Permission check failed (/storage/local, Datastore.AllocateSpace|Datastore.Audit)"):
            some.nodes(NODE).qemu.post(vmid=505, ide2="local:iso/x.iso,media=cdrom")

    def test_options_need_the_privilege_of_their_kind(self):
        self.guest(506)
        for option, value, needed in [
            ("cores", 2, "VM.Config.CPU"),
            ("memory", 1024, "VM.Config.Memory"),
            ("scsihw", "virtio-scsi-pci", "VM.Config.HWType"),
            ("serial0", "socket", "VM.Config.HWType"),
            ("name", "other", "VM.Config.Options"),
            ("tags", "a", "VM.Config.Options"),
            ("boot", "order=scsi0", "VM.Config.Disk"),
            ("net0", "virtio", "VM.Config.Network"),
            ("ipconfig0", "ip=dhcp", "VM.Config.Cloudinit|VM.Config.Network"),
            ("ide2", "none,media=cdrom", "VM.Config.CDROM"),
        ]:
            other = "VM.Config.CPU" if option != "cores" else "VM.Config.Memory"
            some, _ = self.somebody(("/vms/506", self.role(other)))
            with self.subTest(option), self.refused(403, f"Permission check failed (/vms/506, {needed})"):
                some.nodes(NODE).qemu(506).config.put(**{option: value})
        for option in ["args", "lock", "hookscript", "affinity", "vmgenid"]:
            with self.refused(500, f"only root can set '{option}' config"):
                self.node.qemu(506).config.put(**{option: "backup" if option == "lock" else "x"})
        with self.wrong(skiplock="Only root may use this option."):
            self.node.qemu(506).status.start.post(skiplock=1)

    def test_a_right_on_a_pool_is_one_on_its_members_and_a_new_machine_may_join_it(self):
        self.root.pools.post(poolid="team", comment="of a test")
        self.addCleanup(self.root.pools.delete, poolid="team")
        team, _ = self.somebody(("/pool/team", "PVEVMAdmin"), ("/storage", "PVEDatastoreUser"))
        node = team.nodes(NODE)
        with self.refused(403, "Permission check failed"):
            node.qemu.post(vmid=507)
        self.ok(node.qemu.post(vmid=507, pool="team", scsi0="local-lvm:1", cores=2), team)
        self.addCleanup(self.destroy, 507)
        self.assertEqual([row["vmid"] for row in node.qemu.get()], [507])
        self.assertEqual(team.access.permissions.get()["/vms/507"]["VM.Allocate"], 0, "it goes no further")
        (pool,) = self.root.pools.get(poolid="team")
        self.assertEqual((pool["comment"], pool["members"][0]["id"]), ("of a test", "qemu/507"))
        with self.refused(500, "delete pool failed: pool 'team' is not empty (contains VM 507)"):
            self.root.pools.delete(poolid="team")
        with self.refused(500, "update pools failed: VM 507 is already a pool member"):
            self.root.pools.put(poolid="team", vms=507)
        self.root.pools.put(poolid="team", vms=507, delete=1)
        with self.refused(403, "Permission check failed (/vms/507, VM.Audit)"):
            node.qemu(507).config.get()

    def test_roles_users_tokens_and_pools_speak_of_what_is_wrong_with_them(self):
        roles, users, acl = self.root.access.roles, self.root.access.users, self.root.access.acl
        with self.wrong(privs="invalid format - invalid privilege 'VM.Monitor'\n"):
            roles.post(roleid="Old", privs="VM.Monitor")
        with self.wrong(roleid="cannot use role ID starting with the (case-insensitive) 'PVE' namespace"):
            roles.post(roleid="pveMine")
        with self.refused(500, "create role failed: role 'Administrator' already exists"):
            roles.post(roleid="Administrator")
        with self.refused(500, "auto-generated role 'PVEAuditor' cannot be modified"):
            roles("PVEAuditor").put(privs="VM.Audit")
        with self.refused(500, "auto-generated role 'PVEAuditor' cannot be deleted"):
            roles("PVEAuditor").delete()
        with self.refused(500, "role 'Nope' does not exist"):
            roles("Nope").get()
        with self.refused(500, "create user failed: user 'root@pam' already exists"):
            users.post(userid="root@pam")
        with self.wrong(password="value must be at least 8 characters long"):
            users.post(userid="x@pve", password="short")
        with self.refused(500, "value 'x' does not look like a valid user name"):
            users.post(userid="x")
        with self.refused(500, "no such user ('x@pve')"):
            users("x@pve").token("some").post()
        with self.wrong(tokenid="Token already exists."):
            users(USER).token(TOKEN).post()
        with self.refused(500, f"no such token 'none' for user '{USER}'"):
            users(USER).token("none").get()
        grant = {"path": "/", "roles": "PVEAuditor", "users": USER}
        with self.refused(500, "ACL update failed: role 'Nope' does not exist"):
            acl.put(**{**grant, "roles": "Nope"})
        with self.refused(500, "ACL update failed: user 'x@pve' does not exist"):
            acl.put(**{**grant, "users": "x@pve"})
        with self.wrong(path="invalid ACL path '/vm/100'"):
            acl.put(**{**grant, "path": "/vm/100"})
        needed = "either 'users', 'groups' or 'tokens' is required."
        with self.wrong(users=needed, groups=needed, tokens=needed):
            acl.put(path="/", roles="PVEAuditor")
        with self.refused(500, "pool 'nope' does not exist"):
            self.root.pools.get(poolid="nope")
        with self.refused(500, "create pool failed: pool name must start with a letter"):
            self.root.pools.post(poolid="1st")

    def test_who_may_not_modify_permissions_hands_out_at_most_its_own(self):
        admin, user = self.somebody(("/vms/150", "PVEVMAdmin"))
        _, other = self.somebody()
        admin.access.acl.put(path="/vms/150", roles="PVEVMUser", users=other)
        self.assertIn(other, {row["ugid"] for row in admin.access.acl.get()})
        with self.refused(500, "ACL update failed: 400 Parameter verification failed."):
            admin.access.acl.put(path="/vms/150", roles="Administrator", users=user)
        with self.refused(403, "Permission check failed (/vms/151, Permissions.Modify|VM.Allocate)"):
            admin.access.acl.put(path="/vms/151", roles="PVEVMUser", users=other)

    def test_permissions_are_told_to_their_owner_and_to_auditors(self):
        some, user = self.somebody(("/vms/150", "PVEVMUser", False))
        mine = some.access.permissions.get()
        self.assertEqual(set(mine), {"/vms/150"})
        self.assertEqual(mine["/vms/150"]["VM.PowerMgmt"], 0)
        self.assertEqual(some.access.permissions.get(path="/nodes"), {"/nodes": {}})
        self.assertEqual(self.root.access.permissions.get(userid=user), mine)
        with self.refused(403, "Permission check failed (/access, Sys.Audit)"):
            some.access.permissions.get(userid="root@pam")
        self.assertIn("/", self.api.access.permissions.get(userid=f"{USER}!{TOKEN}"))
