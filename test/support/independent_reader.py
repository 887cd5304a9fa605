"""Another reader of a message: Python's email package, and dkimpy for its signature. Told on standard input as JSON, answers so."""

import base64
import email
import email.policy
import json
import sys

import dkim


def text_of(part):
    return part.get_content().replace("\r\n", "\n") if part is not None else None


def verify(octets, records):
    known = {name.encode() + b".": value.encode() for name, value in records.items()}
    return dkim.verify(octets, dnsfunc=lambda name, **_: known.get(name))


def read(asked):
    octets = base64.b64decode(asked["raw"])
    verified = verify(octets, asked["records"])
    if asked["signatureAlone"]:
        return {"dkim": verified}
    message = email.message_from_bytes(octets, policy=email.policy.default)
    people = lambda field: [
        [one.display_name, one.addr_spec] for one in (message[field].addresses if message[field] is not None else [])
    ]
    return {
        "dkim": verified,
        "subject": message["subject"],
        "from": people("from"),
        "to": people("to"),
        "cc": people("cc"),
        "bcc": message["bcc"],
        "messageId": message["message-id"],
        "inReplyTo": message["in-reply-to"],
        "date": message["date"],
        "text": text_of(message.get_body(("plain",))),
        "html": text_of(message.get_body(("html",))),
        "files": [
            [part.get_filename(), part.get_content_type(), base64.b64encode(part.get_payload(decode=True)).decode()]
            for part in message.iter_attachments()
        ],
        "defects": [str(type(one).__name__) for part in message.walk() for one in part.defects],
    }


json.dump([read(asked) for asked in json.load(sys.stdin)], sys.stdout)
