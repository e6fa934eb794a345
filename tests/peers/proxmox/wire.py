"""Bytes: what Proxmox's own HTTP server does with requests that other servers would take."""

import http.client
import json
import socket

from lab import HOST, NODE, PORT, SECRET, TOKEN, USER, Lab, pinned

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


class Wire(Lab):
    def setUp(self):
        self.connection = pinned()
        self.addCleanup(self.connection.close)

    def ask(self, method, path, body=None, headers=(), connection=None):
        """Status, reason, headers, body."""
        token = {"Authorization": f"PVEAPIToken={USER}!{TOKEN}={SECRET}"}
        connection = connection or self.connection
        connection.request(method, path, body=body, headers={**token, **dict(headers)})
        answer = connection.getresponse()
        return answer.status, answer.reason, answer.headers, answer.read().decode()

    def assert_text(self, answer, status, reason):
        """An answer of the server itself: the reason again as a text of no stated type, and the end."""
        self.assertEqual((answer[0], answer[1], answer[3].rstrip("\n")), (status, reason, reason))
        self.assertIsNone(answer[2]["content-type"])
        self.assertEqual(answer[2]["connection"], "close")

    def test_a_good_answer_keeps_the_connection_and_a_refusal_ends_it(self):
        for _ in range(2):
            status, _, headers, body = self.ask("GET", "/api2/json/version")
            self.assertEqual((status, headers["connection"]), (200, "Keep-Alive"))
            self.assertEqual(headers["content-type"], "application/json;charset=UTF-8")
            self.assertEqual(headers["server"], "pve-api-daemon/3.0")
            self.assertEqual((headers["cache-control"], headers["pragma"]), ("max-age=0", "no-cache"))
            self.assertEqual(headers["expires"], headers["date"])
            self.assertEqual(json.loads(body)["data"]["release"], "9.1")
        _, _, headers, _ = self.ask("GET", "/api2/json/nodes/pve/qemu/999/config")
        self.assertEqual(headers["connection"], "close")
        self.assertIsNone(self.connection.sock)

    def test_extjs_is_always_200_and_says_inside_how_it_went(self):
        status, reason, headers, body = self.ask("GET", "/api2/extjs/nodes/pve/qemu/999/config")
        self.assertEqual((status, reason, headers["connection"]), (200, "OK", "Keep-Alive"))
        why = f"Configuration file 'nodes/{NODE}/qemu-server/999.conf' does not exist\n"
        self.assertEqual(json.loads(body), {"success": 0, "status": 500, "message": why, "data": None})
        good = json.loads(self.ask("GET", "/api2/extjs/cluster/nextid")[3])
        self.assertEqual(good, {"success": 1, "data": "100"})
        wrong = json.loads(self.ask("GET", "/api2/extjs/cluster/nextid?vmid=150")[3])
        self.assertEqual((wrong["success"], wrong["errors"]), (0, {"vmid": "VM 150 already exists"}))

    def test_totals_stand_beside_the_data_only_when_there_is_something_to_count(self):
        none = json.loads(self.ask("GET", "/api2/json/nodes/pve/tasks?typefilter=nothing")[3])
        self.assertEqual(none, {"data": []})
        self.ok(self.node.qemu(151).status.stop.post())
        some = json.loads(self.ask("GET", "/api2/json/nodes/pve/tasks?limit=1&typefilter=qmstop")[3])
        self.assertGreaterEqual(some["total"], len(some["data"]))

    def test_what_is_no_call_at_all(self):
        for path, status, reason in [
            ("/nothing", 500, "no such file '/nothing'"),
            ("/api2/", 501, "no such uri"),
            ("/api2/xml/version", 501, "no formatter for uri /version, xml"),
        ]:
            self.assert_text(self.ask("GET", path), status, reason)
        for method in ["PATCH", "OPTIONS", "HEAD"]:
            status, reason, headers, body = self.ask(method, "/api2/json/version")
            self.assertEqual((status, reason, body), (501, f"method '{method}' not available", ""))
        status, reason, _, body = self.ask("GET", "/api2/json/nothing")
        self.assertEqual(json.loads(body), {"data": None, "message": reason}, "the one message without a line end")

    def test_bodies_of_a_kind_that_it_does_not_read(self):
        self.assert_text(
            self.ask("POST", "/api2/json/pools", iter([b"poolid=x"]), {"Transfer-Encoding": "chunked", **FORM}),
            501,
            "chunked transfer encoding not supported",
        )
        for method in ["GET", "DELETE"]:
            answer = self.ask(method, "/api2/json/version", b"a=b", FORM)
            self.assert_text(answer, 501, f"Unexpected content for method '{method}'")
        answer = self.ask("POST", "/api2/json/pools", b"<x/>", {"Content-Type": "text/xml"})
        self.assert_text(answer, 506, "upload 'Content-Type 'text/xml' not implemented")
        empty = self.ask("POST", "/api2/json/nodes/pve/qemu/151/status/stop", b"", JSON)
        what = "malformed JSON string, neither tag, array, object, number, string or atom"
        self.assert_text(empty, 500, f'{what}, at character offset 0 (before "(end of string)")')

    def test_a_body_that_is_too_large_is_refused_by_its_length(self):
        self.connection.putrequest("POST", "/api2/json/pools")
        self.connection.putheader("Authorization", f"PVEAPIToken={USER}!{TOKEN}={SECRET}")
        self.connection.putheader("Content-Length", str((512 << 10) + 1))
        self.connection.endheaders()
        answer = self.connection.getresponse()
        self.assertEqual((answer.status, answer.reason), (501, "for data too large"))

    def test_credentials_are_looked_at_before_the_body(self):
        self.connection.request("GET", "/api2/json/version", body=b"a=b")
        answer = self.connection.getresponse()
        self.assertEqual((answer.status, answer.reason, answer.read()), (401, "No ticket", b""))

    def test_a_raw_semicolon_or_equals_sign_cuts_a_value(self):
        self.ok(self.node.qemu.post(vmid=300, scsi0="local-lvm:1"))
        self.addCleanup(self.destroy, 300)
        put = "/api2/json/nodes/pve/qemu/300/config"
        status, _, _, body = self.ask("PUT", put, b"boot=order=scsi0;ide2", FORM)
        self.assertEqual((status, list(json.loads(body)["errors"])), (400, ["ide2"]))
        self.assertEqual(self.ask("PUT", put, b"boot=order%3Dscsi0&tags=b%3Ba", FORM)[0], 200)
        self.assertEqual((self.config(300)["boot"], self.config(300)["tags"]), ("order=scsi0", "a;b"))

    def test_json_bodies_have_real_booleans_and_lists(self):
        body = json.dumps({"vmid": 301, "onboot": True, "cores": 2, "name": None}).encode()
        status, _, _, answer = self.ask("POST", "/api2/json/nodes/pve/qemu", body, JSON)
        self.assertEqual(status, 200)
        self.addCleanup(self.destroy, 301)
        self.ok(json.loads(answer)["data"])
        self.assertEqual((self.config(301)["onboot"], self.config(301)["cores"]), (1, 2))

    def test_the_query_goes_before_the_body_and_a_cache_breaker_is_nothing(self):
        self.ask("POST", "/api2/json/pools?poolid=query&_dc=1", b"poolid=body", FORM)
        self.assertEqual([row["poolid"] for row in self.api.pools.get()], ["query"])
        self.api.pools.delete(poolid="query")

    def test_plain_http_is_sent_to_https(self):
        for method, status in [("GET", 301), ("POST", 308)]:
            plain = http.client.HTTPConnection(HOST, int(PORT), timeout=10)
            plain.request(method, "/api2/json/version")
            answer = plain.getresponse()
            self.assertEqual(
                (answer.status, answer.headers["location"]), (status, f"https://{HOST}:{PORT}/api2/json/version")
            )
            plain.close()

    def test_an_idle_connection_is_closed_after_five_seconds(self):
        self.ask("GET", "/api2/json/version")
        self.connection.sock.settimeout(8)
        try:
            self.assertEqual(self.connection.sock.recv(1), b"", "the end, and nothing else")
        except socket.timeout:
            self.fail("it is still open")
