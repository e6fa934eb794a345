"""A host of Proxmox VE 8.2: the same refusals with less in them, and fewer things that it can do."""

import io

import requests
from lab import AUTHORITY, HOST, PORT, SECRET, TOKEN, USER, Lab


class Old(Lab):
    def ask(self, method, path, **more):
        headers = {"Authorization": f"PVEAPIToken={USER}!{TOKEN}={SECRET}"}
        url = f"https://{HOST}:{PORT}{path}"
        return requests.request(method, url, headers=headers, verify=AUTHORITY, timeout=30, **more)

    def test_the_text_of_a_refusal_is_only_in_the_status_line(self):
        self.assertEqual(self.api.version.get()["release"], "8.2")
        answer = self.ask("GET", "/api2/json/nodes/pve/qemu/999/config")
        why = "Configuration file 'nodes/pve/qemu-server/999.conf' does not exist"
        self.assertEqual((answer.status_code, answer.reason, answer.json()), (500, why, {"data": None}))
        answer = self.ask("GET", "/api2/json/cluster/nextid", params={"vmid": 150})
        self.assertEqual(answer.json(), {"data": None, "errors": {"vmid": "VM 150 already exists"}})
        answer = self.ask("GET", "/nothing")
        self.assertEqual((answer.status_code, answer.reason, answer.text), (500, "no such file '/nothing'", ""))
        answer = self.ask("GET", "/api2/extjs/nodes/pve/qemu/999/config")
        self.assertEqual(answer.json()["message"], why + "\n", "this format has it in every version")

    def test_images_can_not_be_imported(self):
        with self.wrong(content="value 'import' does not have a value in the enumeration 'iso, vztmpl'"):
            file = io.BytesIO(b"noise")
            file.name = "a.raw"
            self.node.storage("local").upload.post(content="import", filename=file)
        with self.wrong(scsi0="local:iso/a.img has wrong type 'iso' - not an image"):
            self.node.qemu.post(vmid=100, scsi0="local-lvm:0,import-from=local:iso/a.img")

    def test_what_later_versions_took_apart_or_renamed(self):
        administrator = self.api.access.roles("Administrator").get()
        self.assertIn("VM.Monitor", administrator)
        self.assertNotIn("VM.GuestAgent.Audit", administrator)
        self.assertEqual([row["id"] for row in self.api.cluster.resources.get(type="sdn")], ["sdn/pve/localnetwork"])
        self.assertNotIn("memhost", self.node.qemu(150).status.current.get())
        self.assertNotIn("available", self.node.status.get()["memory"])
