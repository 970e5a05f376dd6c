"""Follows a folder with Python's imaplib as RFC 7162 and RFC 4549 have it: imaplib_follow.py PORT CA USER PASSWORD-FILE COUNT."""

import imaplib
import re
import ssl
import sys

port, authority, user, password_file, count = sys.argv[1:]
with open(password_file, encoding="utf-8") as file:
    password = file.read()


def ok(answer):
    """The data of an answer that must be OK."""
    status, data = answer
    assert status == "OK", answer
    return data


def connect():
    """A session with INBOX selected."""
    context = ssl.create_default_context(cafile=authority)
    server = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=context, timeout=60)
    ok(server.login(user, password))
    ok(server.select("INBOX"))
    return server


def rows(data):
    """UID to (flags, MODSEQ) of FETCH answers."""
    found = {}
    for line in data:
        if line is None:
            continue
        uid, modseq = re.search(rb"UID (\d+)", line), re.search(rb"MODSEQ \((\d+)\)", line)
        flags = re.search(rb"FLAGS \(([^)]*)\)", line)[1].split()
        found[int(uid[1])] = (frozenset(flags) - {rb"\Recent"}, int(modseq[1]))
    return found


class Copy:
    """What this side holds, and the flags that it wants to give."""

    def __init__(self):
        self.flags, self.modseq, self.wanted = {}, 0, []

    def synchronise(self):
        """One session; how many messages changed here, went away here, changed there."""
        server = connect()
        pushed = 0
        for uid, flag in self.wanted:
            # Only if nobody else was faster (RFC 7162 3.1.3).
            answer = server.uid("STORE", str(uid), f"(UNCHANGEDSINCE {self.modseq})", "+FLAGS", flag)
            ok(answer)
            modified = server.response("MODIFIED")[1]
            assert modified in ([None], None), (uid, modified)
            pushed += 1
        self.wanted = []
        asked = f"(CHANGEDSINCE {self.modseq})" if self.modseq else "(MODSEQ)"
        fetch = ("1:*", "(UID FLAGS)", asked) if self.modseq else ("1:*", "(UID FLAGS MODSEQ)")
        changed = rows(ok(server.uid("FETCH", *fetch)))
        there = {int(uid) for uid in ok(server.uid("SEARCH", "ALL"))[0].split()}
        gone = set(self.flags) - there
        for uid in gone:
            del self.flags[uid]
        for uid, (flags, modseq) in changed.items():
            self.flags[uid] = flags
            self.modseq = max(self.modseq, modseq)
        assert set(self.flags) == there, set(self.flags) ^ there
        server.logout()
        return len(changed), len(gone), pushed


copy = Copy()
assert copy.synchronise() == (int(count), 0, 0)
assert copy.synchronise() == (0, 0, 0)

# Both sides change.
other = connect()
ok(other.store("2:3", "+FLAGS", r"(\Flagged)"))
ok(other.store("5:6", "+FLAGS", r"(\Deleted)"))
ok(other.expunge())
ok(other.append("INBOX", r"(\Seen)", None, b"Message-ID: <follow@b.test>\r\n\r\nBonjour.\r\n"))
first, second = sorted(copy.flags)[:2]
copy.wanted = [(first, r"(\Answered)")]
changed, gone, pushed = copy.synchronise()
# Two flagged, one new, and the one that was answered from here.
assert (changed, gone, pushed) == (4, 2, 1), (changed, gone, pushed)
assert rb"\Answered" in copy.flags[first] and rb"\Flagged" in copy.flags[second], copy.flags
assert copy.synchronise() == (0, 0, 0)

# A change that comes too late is refused, and the copy learns what was faster.
ok(other.uid("STORE", str(first), "+FLAGS", r"(\Seen)"))
late = connect()
status, _ = late.uid("STORE", str(first), f"(UNCHANGEDSINCE {copy.modseq})", "+FLAGS", r"(\Draft)")
assert status == "OK", status
assert late.response("MODIFIED")[1] == [str(first).encode()], late.untagged_responses
late.logout()
assert copy.synchronise() == (1, 0, 0)
assert copy.flags[first] == {rb"\Answered", rb"\Seen"}, copy.flags[first]
everything = rows(ok(other.uid("FETCH", "1:*", "(UID FLAGS MODSEQ)")))
assert {uid: flags for uid, (flags, _) in everything.items()} == copy.flags
other.logout()
print("imaplib: all well")
