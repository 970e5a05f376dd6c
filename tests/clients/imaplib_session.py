"""A session of Python's imaplib against an IMAP server: imaplib_session.py PORT CA USER PASSWORD-FILE."""

import imaplib
import ssl
import sys

port, authority, user, password_file = sys.argv[1:]
with open(password_file, encoding="utf-8") as file:
    password = file.read()
context = ssl.create_default_context(cafile=authority)
server = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=context, timeout=30)


def ok(answer):
    """The data of an answer that must be OK."""
    status, data = answer
    assert status == "OK", answer
    return data


try:
    server.login(user, "faux")
    raise SystemExit("a wrong password was accepted")
except imaplib.IMAP4.error:
    pass
ok(server.login(user, password))
# A server may tell more once it knows who asks; imaplib keeps what it heard first.
capabilities = ok(server.capability())[0].decode().upper().split()
for capability in ("IMAP4REV1", "UIDPLUS", "MOVE", "IDLE", "SPECIAL-USE", "ENABLE"):
    assert capability in capabilities, (capability, capabilities)

folders = b"\n".join(ok(server.list()))
for attribute in (rb"\Sent", rb"\Drafts", rb"\Trash", rb"\Junk", rb"\Archive"):
    assert attribute in folders, (attribute, folders)

ok(server.create("Essais"))
body = b"From: <a@b.test>\r\nSubject: =?utf-8?q?pr=C3=A9nom?=\r\nMessage-ID: <imaplib@b.test>\r\n\r\nBonjour.\r\n"
ok(server.append("Essais", r"(\Seen $Etiquette)", imaplib.Time2Internaldate(1_700_000_000), body))
ok(server.append("Essais", None, None, body.replace(b"imaplib@", b"second@")))
assert ok(server.select("Essais")) == [b"2"]
assert ok(server.search(None, "HEADER", "Message-ID", "second")) == [b"2"]
assert ok(server.uid("SEARCH", "UNSEEN"))[0].split() == [ok(server.search(None, "2"))[0]]
fetched = ok(server.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
assert fetched[0][1] == body, fetched
assert rb"\Seen" in fetched[0][0] and b"$Etiquette" in fetched[0][0], fetched
assert ok(server.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))[0][1] == b"Subject: =?utf-8?q?pr=C3=A9nom?=\r\n\r\n"
assert ok(server.fetch("1", "(BODY.PEEK[TEXT]<3.4>)"))[0][1] == b"jour"

ok(server.store("2", "+FLAGS", r"(\Flagged)"))
assert ok(server.search(None, "FLAGGED")) == [b"2"]
ok(server.copy("1", "Archive"))
ok(server.uid("MOVE", "2", "Trash"))
assert ok(server.search(None, "ALL")) == [b"1"]
ok(server.store("1", "+FLAGS", r"(\Deleted)"))
# imaplib still holds the EXPUNGE that MOVE caused.
assert ok(server.expunge())[-1] == b"1"
ok(server.close())
assert ok(server.select("Archive", readonly=True)) == [b"1"]
assert b"MESSAGES 1" in ok(server.status("Trash", "(MESSAGES UIDNEXT)"))[0]
ok(server.unselect())
ok(server.delete("Essais"))
server.logout()
print("imaplib: all well")
