"""
Others than ourselves read a message: Python's email package, dkimpy, and OpenDKIM's opendkim-testmsg for signatures; or dkimpy signs
one. Told on standard input as JSON, answers so. opendkim-testmsg asks the machine's name server: to be run in a network and a mount
of its own (unshare), where that is ours.
"""

import base64
import email
import email.header
import email.policy
import email.utils
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading

import dkim

SIOCSIFFLAGS = 0x8914
UP_AND_RUNNING = 0x41
TXT = 16


def be_name_server(records):
    """Over UDP on loopback, which has nobody else on it here: RFC 1035 §4, TXT alone."""
    link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(link, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", UP_AND_RUNNING))
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))
    settings = tempfile.NamedTemporaryFile("w", suffix=".conf")
    settings.write("nameserver 127.0.0.1\n")
    settings.flush()
    subprocess.run(["mount", "--bind", settings.name, os.path.realpath("/etc/resolv.conf")], check=True)

    def serve():
        while True:
            query, asker = server.recvfrom(4096)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
                at += 1 + query[at]
            question = query[12 : at + 5]
            known = records.get(".".join(labels)) if struct.unpack(">H", query[at + 1 : at + 3]) == (TXT,) else None
            text = known.encode() if known else b""
            strings = b"".join(bytes([len(text[i : i + 255])]) + text[i : i + 255] for i in range(0, len(text), 255))
            answer = struct.pack(">HHHIH", 0xC00C, TXT, 1, 60, len(strings)) + strings if known else b""
            head = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, 1 if known else 0, 0, 0)
            server.sendto(head + question + answer, asker)

    threading.Thread(target=serve, daemon=True).start()
    return settings


def signature_fields(octets):
    """Where each DKIM-Signature stands, and its tags. A field goes on in lines that begin with white space."""
    head = octets[: octets.index(b"\r\n\r\n") + 2]
    fields, at = [], 0
    for line in head.splitlines(keepends=True):
        if line[:1] not in b" \t":
            fields.append([at, at])
        fields[-1][1] = at + len(line)
        at += len(line)
    signed = [(start, end) for start, end in fields if head[start:end].lower().startswith(b"dkim-signature:")]
    return [(start, end, dkim.util.parse_tag_value(octets[start:end].split(b":", 1)[1])) for start, end in signed]


def signatures(octets, records):
    """Each by itself, by both verifiers; a signature covers no other one."""
    known = {name.encode() + b".": value.encode() for name, value in records.items()}
    fields = signature_fields(octets)
    found = []
    for index, (_, _, tags) in enumerate(fields):
        alone = octets
        for other, (start, end, _) in reversed(list(enumerate(fields))):
            if other != index:
                alone = alone[:start] + alone[end:]
        said = subprocess.run(["opendkim-testmsg"], input=alone, capture_output=True, timeout=60)
        found.append(
            {
                "domain": tags[b"d"].decode(),
                "selector": tags[b"s"].decode(),
                "dkimpy": dkim.verify(alone, dnsfunc=lambda name, **_: known.get(name)),
                "openDkim": said.returncode == 0 or said.stderr.decode().strip(),
            }
        )
    return found


def fields_of(octets, name):
    """Octets beyond ASCII (RFC 6532) as surrogates."""
    return [value for field, value in email.message_from_bytes(octets).raw_items() if field.lower() == name]


def people(octets, field):
    """By the older of Python's readers: the newer one puts a blank between the encoded words of a name (RFC 2047 §6.2 has none)."""
    values = [str(value).encode("ascii", "surrogateescape").decode() for value in fields_of(octets, field)]
    found = email.utils.getaddresses(values)
    return [[str(email.header.make_header(email.header.decode_header(name))), address] for name, address in found]


def text_of(part):
    return part.get_content().replace("\r\n", "\n") if part is not None else None


def read(octets, records, signatures_alone):
    verified = signatures(octets, records)
    if signatures_alone:
        return {"signatures": verified}
    message = email.message_from_bytes(octets, policy=email.policy.default)
    return {
        "signatures": verified,
        "subject": (message["subject"] or "").strip(),
        "from": people(octets, "from"),
        "replyTo": people(octets, "reply-to"),
        "to": people(octets, "to"),
        "cc": people(octets, "cc"),
        "bcc": message["bcc"],
        "messageId": message["message-id"],
        "inReplyTo": message["in-reply-to"],
        "date": message["date"],
        "names": [name.lower() for name in message.keys()],
        "text": text_of(message.get_body(("plain",))),
        "html": text_of(message.get_body(("html",))),
        "files": [
            [part.get_filename(), part.get_content_type(), base64.b64encode(part.get_payload(decode=True)).decode()]
            for part in message.walk()
            if part.get_content_disposition() is not None
        ],
        "defects": [str(type(one).__name__) for part in message.walk() for one in part.defects],
    }


def sign(octets, selector, domain, key):
    """simple/simple (RFC 6376 §3.4): not an octet may be changed on the way, white space included."""
    field = dkim.sign(octets, selector.encode(), domain.encode(), key.encode(), canonicalize=(b"simple", b"simple"))
    return base64.b64encode(field + octets).decode()


asked = json.load(sys.stdin)
if "key" in asked:
    answer = [sign(base64.b64decode(raw), asked["selector"], asked["domain"], asked["key"]) for raw in asked["messages"]]
else:
    settings = be_name_server(asked["records"])
    answer = [read(base64.b64decode(raw), asked["records"], asked["signaturesAlone"]) for raw in asked["messages"]]
json.dump(answer, sys.stdout)
