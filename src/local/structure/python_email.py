"""What Python's email package makes of messages: reads paths, a line each, and writes a line of JSON for each.

Two things are said to it, so that parsers are compared and not conventions: iso-8859-1 and us-ascii are windows-1252 (the
Encoding Standard, which browsers and mail programs follow), and what is in no charset that is declared is UTF-8, or else
windows-1252.
"""
import email
import email.header
import email.policy
import email.utils
import json
import sys

LATIN = {"iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii", "ascii", "windows-1252", "cp1252"}


def latin(octets):
    return "".join(bytes([octet]).decode("cp1252") if octet not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else chr(octet) for octet in octets)


def guess(octets):
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return latin(octets)


def letters(octets, label):
    label = (label or "us-ascii").lower()
    if label in ("us-ascii", "ascii"):
        return guess(octets)
    if label in LATIN:
        return latin(octets)
    try:
        return octets.decode(label, errors="replace")
    except LookupError:
        return guess(octets)


def words(text):
    """RFC 2047, of a field as the message has it (octets that are no ASCII are surrogates)."""
    out = []
    for piece, label in email.header.decode_header(text):
        if isinstance(piece, str):
            piece = piece.encode("ascii", "surrogateescape")
        out.append(letters(piece, label) if label else guess(piece))
    return "".join(out)


def tree_of(part):
    kind = part.get_content_type()
    if part.is_multipart():
        return kind + "(" + ",".join(tree_of(one) for one in part.get_payload()) + ")"
    return kind


def leaves_of(part, leaves):
    if part.is_multipart() and part.get_content_maintype() == "multipart":
        for one in part.get_payload():
            leaves_of(one, leaves)
        return
    leaf = {"type": part.get_content_type(), "name": attempt(lambda: name_of(part)), "size": None, "text": None}
    leaves.append(leaf)
    if part.is_multipart():
        for one in part.get_payload():
            leaves_of(one, leaves)
        return
    payload = part.get_payload(decode=True)
    leaf["size"] = None if payload is None else len(payload)
    if part.get_content_maintype() == "text":
        leaf["text"] = letters(payload or b"", part.get_content_charset())


def name_of(part):
    name = part.get_filename()
    return None if name is None else words(name)


def attempt(ask):
    try:
        return ask()
    except Exception as error:
        return {"error": repr(error)}


def raw(message, name):
    """The fields of that name, unfolded."""
    return [str(value).replace("\r\n", "\n").replace("\n", "") for key, value in message.raw_items() if key.lower() == name]


def people(message, name):
    return [[words(who), address] for who, address in email.utils.getaddresses(raw(message, name))]


def date_of(message):
    values = raw(message, "date")
    when = email.utils.parsedate_tz(values[-1]) if values else None
    return None if when is None else int(email.utils.mktime_tz(when))


def read(octets):
    message = email.message_from_bytes(octets, policy=email.policy.compat32)
    out = {"tree": tree_of(message), "leaves": []}
    leaves_of(message, out["leaves"])
    last = lambda name: (raw(message, name) or [""])[-1]
    out["subject"] = attempt(lambda: words(last("subject")))
    modern = email.message_from_bytes(octets, policy=email.policy.default)
    out["messageId"] = attempt(lambda: str((modern.get_all("message-id") or [""])[-1]))
    for name in ("from", "to", "cc"):
        out[name] = attempt(lambda: people(message, name))
    out["date"] = attempt(lambda: date_of(message))
    return out


for line in sys.stdin:
    path = line.rstrip("\n")
    with open(path, "rb") as file:
        octets = file.read()
    result = attempt(lambda: read(octets))
    sys.stdout.write(json.dumps(result, ensure_ascii=True) + "\n")
    sys.stdout.flush()
