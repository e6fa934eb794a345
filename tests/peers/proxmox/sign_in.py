"""Tokens, tickets, and what is answered to wrong ones."""

import time

import requests
from lab import AUTHORITY, HOST, PASSWORD, PORT, SECRET, SPEED, TOKEN, USER, Lab, by_password, by_token
from proxmoxer.core import AuthenticationError

URL = f"https://{HOST}:{PORT}/api2/json"
# What every wrong credential costs, on the wall.
DELAY = 3 / SPEED


class SignIn(Lab):
    def ask(self, method, path, **more):
        return requests.request(method, URL + path, verify=AUTHORITY, timeout=30, **more)

    def assert_unknown(self, answer, reason="No ticket"):
        self.assertEqual((answer.status_code, answer.reason, answer.text), (401, reason, ""))
        self.assertNotIn("content-type", answer.headers)
        self.assertGreaterEqual(answer.elapsed.total_seconds(), DELAY * 0.9)

    def test_a_token_and_a_ticket_are_the_same_to_a_reader(self):
        self.assertEqual(self.api.version.get(), self.root.version.get())

    def test_without_credentials_there_is_an_empty_401_after_a_while(self):
        self.assert_unknown(self.ask("GET", "/version"))
        self.assert_unknown(self.ask("GET", "/nothing/like/this"))

    def test_every_wrong_credential_of_an_old_server_says_what_is_wrong(self):
        token = {
            "no-equals-sign": "no tokenid specified",
            "nonsense=x": "'nonsense' is not a valid token ID - not able to split into user and token parts",
            f"nobody@pve!{TOKEN}={SECRET}": "no such user ('nobody@pve')",
            f"{USER}!other={SECRET}": f"no such token 'other' for user '{USER}'",
            f"{USER}!{TOKEN}=wrong": "invalid token value!",
        }
        for value, reason in token.items():
            self.assert_unknown(self.ask("GET", "/version", headers={"Authorization": f"PVEAPIToken={value}"}), reason)
        cookie = {"PVEAuthCookie": "PVE:root@pam:00000000::nonsense"}
        self.assert_unknown(self.ask("GET", "/version", cookies=cookie), "permission denied - invalid PVE ticket")

    def test_a_wrong_password_is_a_401_with_a_body_that_names_nobody(self):
        for user in ["root@pam", "nobody@pve"]:
            answer = self.ask("POST", "/access/ticket", data={"username": user, "password": "guessed"})
            self.assertEqual((answer.status_code, answer.reason), (401, "authentication failure"))
            self.assertEqual(answer.json(), {"data": None, "message": "authentication failure\n"})
        with self.assertRaises(AuthenticationError):
            by_password(password="guessed")

    def test_a_ticket_tells_what_its_owner_may_and_a_realm_may_stand_apart(self):
        data = {"username": "root", "realm": "pam", "password": PASSWORD}
        ticket = self.ask("POST", "/access/ticket", data=data).json()["data"]
        self.assertEqual(ticket["username"], "root@pam")
        self.assertTrue(ticket["ticket"].startswith("PVE:root@pam:"))
        self.assertEqual(ticket["cap"]["storage"]["Datastore.Allocate"], 1)
        self.assertEqual(set(ticket["cap"]), {"access", "dc", "mapping", "nodes", "sdn", "storage", "vms"})

    def test_a_ticket_renews_itself(self):
        ticket, _ = self.root.get_tokens()
        renewed = by_password(password=ticket)
        self.assertNotEqual(renewed.get_tokens()[0], ticket)
        self.assertEqual(renewed.access.permissions.get()["/"]["Sys.Audit"], 1)

    def test_a_ticket_needs_its_guard_for_changes_and_a_token_needs_none(self):
        ticket, guard = self.root.get_tokens()
        cookie = {"PVEAuthCookie": ticket}
        change = {"cookies": cookie, "data": {"poolid": "guarded"}}
        self.assertEqual(self.ask("GET", "/version", cookies=cookie).status_code, 200)
        self.assert_unknown(self.ask("POST", "/pools", **change), "Permission denied - invalid csrf token")
        wrong = {"CSRFPreventionToken": guard + "x"}
        self.assert_unknown(
            self.ask("POST", "/pools", headers=wrong, **change), "Permission denied - invalid csrf token"
        )
        right = {"CSRFPreventionToken": guard}
        self.assertEqual(self.ask("POST", "/pools", headers=right, **change).json(), {"data": None})
        self.api.pools.delete(poolid="guarded")

    def test_a_cookie_goes_before_a_token(self):
        header = {"Authorization": f"PVEAPIToken={USER}!{TOKEN}={SECRET}"}
        cookie = {"PVEAuthCookie": "PVE:root@pam:00000000::nonsense"}
        answer = self.ask("GET", "/version", headers=header, cookies=cookie)
        self.assert_unknown(answer, "permission denied - invalid PVE ticket")
        self.assertEqual(self.ask("GET", "/version", headers={**header, "Cookie": "other=1"}).status_code, 200)

    def test_a_token_gets_no_ticket(self):
        header = {"Authorization": f"PVEAPIToken={USER}!{TOKEN}={SECRET}"}
        data = {"username": "root@pam", "password": PASSWORD}
        answer = self.ask("POST", "/access/ticket", headers=header, data=data)
        why = "Permission check failed (URI '/access/ticket' not available with API token, need proper ticket."
        self.assertEqual((answer.status_code, answer.reason), (403, why))
        self.assertEqual(answer.json()["message"], why + "\n)\n")

    def test_a_token_expires_and_dies_with_its_user(self):
        users = self.root.access.users
        users.post(userid="short@pve", password="long enough")
        long = users("short@pve").token("long").post(expire=0)
        short = users("short@pve").token("short").post(expire=1)
        self.assertEqual(long["full-tokenid"], "short@pve!long")
        self.assertEqual(by_token("short@pve", "long", long["value"]).version.get()["release"], "9.1")
        with self.refused(401, "token 'short' access expired", {"errors": b""}):
            by_token("short@pve", "short", short["value"]).version.get()
        users("short@pve").delete()
        with self.refused(401, "no such user ('short@pve')", {"errors": b""}):
            by_token("short@pve", "long", long["value"]).version.get()

    def test_a_disabled_user_can_do_nothing(self):
        users = self.root.access.users
        users.post(userid="off@pve", password="long enough")
        secret = users("off@pve").token("off").post()["value"]
        self.assertEqual(by_token("off@pve", "off", secret).version.get()["release"], "9.1")
        users("off@pve").put(enable=0, comment="on leave")
        self.assertEqual((users("off@pve").get()["enable"], users("off@pve").get()["comment"]), (0, "on leave"))
        with self.refused(401, "user 'off@pve' is disabled", {"errors": b""}):
            by_token("off@pve", "off", secret).version.get()
        with self.assertRaises(AuthenticationError):
            by_password("off@pve", "long enough")
        users("off@pve").put(enable=1, expire=1)
        with self.refused(401, "user 'off@pve' access expired", {"errors": b""}):
            by_token("off@pve", "off", secret).version.get()
        users("off@pve").delete()

    def test_realms_are_for_everybody(self):
        realms = self.ask("GET", "/access/domains").json()["data"]
        self.assertEqual({realm["realm"] for realm in realms}, {"pam", "pve"})
        self.assertEqual(self.ask("GET", "/access/ticket").json(), {"data": None})

    def test_the_delay_is_of_the_labs_time(self):
        began = time.monotonic()
        self.ask("GET", "/version")
        self.assertLess(time.monotonic() - began, 3)
