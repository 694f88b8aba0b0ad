"""Checks proto/vectors by docs/protocol.md, sharing no code with the Rust implementation.

The sections named below are that page's. The message definitions are read from the .proto files;
the wire format is written by hand, since 'closed and canonical' is a promise about bytes which a
protobuf library would hide.

    pip install -r tests/protocol/requirements.txt && python tests/protocol/check_vectors.py
"""
import base64, hashlib, ipaddress, json, re, sys
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PROTO = Path(__file__).resolve().parents[2] / "proto"


class Refusal(Exception):
    """A refusal as the vectors write it: a reason and, with some, which part or field."""
    def __init__(self, reason, **more):
        super().__init__(reason)
        self.words = {"reason": reason, **more}


def need(condition, reason, **more):
    if not condition:
        raise Refusal(reason, **more)


def same(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def sha256(data):
    return hashlib.sha256(data).digest()


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


# --- Message definitions ---

# Each field: (number, name, label, type). Imported by the statements, so not in our own files.
MESSAGES = {"Timestamp": [(1, "seconds", "", "int64"), (2, "nanos", "", "int32")]}
ENUMS = {}


def read_definitions(path):
    nesting = []
    line = re.compile(r"(message|enum|oneof) (\w+) \{|(\})"
                      r"|(?:(optional|repeated) )?(?:([\w.]+) )?(\w+) = (\d+);")
    text = re.sub(r"//.*|syntax.*", "", path.read_text())
    for kind, name, end, label, type_, field, number in line.findall(text):
        if kind:
            nesting.append((kind, name))
            {"message": MESSAGES, "enum": ENUMS}.get(kind, {})[name] = {} if kind == "enum" else []
        elif end:
            nesting.pop()
        elif nesting[-1][0] == "enum":
            ENUMS[nesting[-1][1]][field] = int(number)
        else:
            owner = [name for kind, name in nesting if kind == "message"][-1]
            MESSAGES[owner].append((int(number), field, label or "", type_.split(".")[-1]))
            MESSAGES[owner].sort()


for definitions in ("common/v1/common", "statement/v1/envelope", "statement/v1/statements"):
    read_definitions(PROTO / "countersign" / f"{definitions}.proto")
PAYLOAD_TYPES = {name: "application/vnd.countersign.%s.v1+proto"
                 % re.sub(r"(?<!^)([A-Z])", r"-\1", name.removesuffix("Statement")).lower()
                 for name in MESSAGES if name.endswith("Statement")}


# --- Section 4.1, the wire format: a message is a dictionary from field names to values ---

DEFAULTS = {"string": "", "bytes": b"", "bool": False}


def empty(type_):
    """Every field as it is when nothing was sent; None where 'not set' is a value of its own."""
    return {name: [] if label == "repeated" else None if label or kind in MESSAGES
            else DEFAULTS.get(kind, 0) for _, name, label, kind in MESSAGES[type_]}


def varint(number):
    number &= 2**64 - 1  # Negative numbers take ten bytes.
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number]))


def encode(type_, message):
    out = b""
    for number, name, label, kind in MESSAGES[type_]:
        values = message[name] if label == "repeated" else [message[name]]
        for value in values:
            if value is None or (not label and kind not in MESSAGES and not value):
                continue
            if kind in MESSAGES or kind in ("string", "bytes"):
                data = encode(kind, value) if kind in MESSAGES else \
                    value.encode() if kind == "string" else value
                out += varint(number << 3 | 2) + varint(len(data)) + data
            else:
                out += varint(number << 3) + varint(int(value))
    return out


def take_varint(data, at):
    number = 0
    for index in range(10):
        need(at + index < len(data), "encoding")
        number |= (data[at + index] & 127) << 7 * index
        if data[at + index] < 128:
            return number & 2**64 - 1, at + index + 1
    raise Refusal("encoding")


def decode(type_, data):
    fields = {number: rest for number, *rest in MESSAGES[type_]}
    message, at = empty(type_), 0
    while at < len(data):
        tag, at = take_varint(data, at)
        need(tag >> 3 in fields, "encoding")
        name, label, kind = fields[tag >> 3]
        long = kind in MESSAGES or kind in ("string", "bytes")
        need(tag & 7 == (2 if long else 0), "encoding")
        value, at = take_varint(data, at)
        if long:
            need(at + value <= len(data), "encoding")
            value, at = data[at:at + value], at + value
            if kind in MESSAGES:
                value = decode(kind, value)
            elif kind == "string":
                try:
                    value = value.decode()
                except UnicodeDecodeError:
                    raise Refusal("encoding") from None
        elif kind == "bool":
            value = value != 0
        elif kind not in ("uint64", "uint32"):  # int64, int32 and enums, which are int32.
            bits = 64 if kind == "int64" else 32
            value = (value + 2**(bits - 1)) % 2**bits - 2**(bits - 1)
        elif kind == "uint32":
            value %= 2**32
        if label == "repeated":
            message[name].append(value)
        else:
            message[name] = value
    # One comparison refuses another order, doubles, defaults and numbers longer than needed.
    need(encode(type_, message) == data, "encoding")
    return message


def from_json(type_, value):
    """Protobuf's JSON form; what it does not name is left as it was."""
    if type_ == "Timestamp":
        whole, fraction = re.fullmatch(r"([^.]{19})(?:\.(\d{1,9}))?(?:Z|\+00:00)", value).groups()
        return {"seconds": int(datetime.fromisoformat(whole + "+00:00").timestamp()),
                "nanos": int((fraction or "").ljust(9, "0"))}
    message = empty(type_)
    names = {re.sub(r"_(\w)", lambda m: m[1].upper(), field[1]): field for field in MESSAGES[type_]}
    for key, item in value.items():
        _, name, label, kind = names[key]
        read = (lambda v: from_json(kind, v)) if kind in MESSAGES else \
            (lambda v: ENUMS[kind][v]) if kind in ENUMS else \
            (lambda v: base64.b64decode(v, validate=True)) if kind == "bytes" else \
            int if kind == "uint64" else (lambda v: v)
        message[name] = [read(v) for v in item] if label == "repeated" else read(item)
    return message


# --- Section 2, keys and signatures: RFC 8032, and stricter than most libraries check ---

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def point(data):
    """The point that 32 bytes encode, but for the sign of x, or None: malformed."""
    sign, y = data[31] >> 7, int.from_bytes(data, "little") & 2**255 - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or x * x % P != square or (x == 0 and sign):
        return None
    return x, y  # A point and its mirror image have the same order.


def small_order(at):
    for _ in range(3):  # Eight times a point of small order is the identity.
        x, y = at
        k = D * x * x * y * y % P
        at = 2 * x * y * pow(1 + k, -1, P) % P, (y * y + x * x) * pow(1 - k, -1, P) % P
    return at == (0, 1)


def key_fault(key):
    if key is None:
        return "missing"
    if key["algorithm"] != ENUMS["KeyAlgorithm"]["KEY_ALGORITHM_ED25519"]:
        return "algorithm"
    at = point(key["key"]) if len(key["key"]) == 32 else None
    return "malformed" if at is None else "weak" if small_order(at) else None


def ed25519(raw):
    return {"algorithm": 1, "key": raw}


def jwk(raw):
    return json.dumps({"crv": "Ed25519", "kty": "OKP", "x": b64url(raw)}, separators=(",", ":"))


def thumbprint(raw):
    return b64url(sha256(jwk(raw).encode()))


def check_signature(raw, signature, message):
    # The library takes an R of small order, so R is looked at here; S is for clearness.
    r = point(signature[:32]) if len(signature) == 64 else None
    need(r and not small_order(r) and int.from_bytes(signature[32:], "little") < L, "signature")
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except InvalidSignature:
        raise Refusal("signature") from None


# --- Sections 3 and 4, envelopes and the form of statements ---

def pae(payload_type, payload):
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def key_taking_over(envelope, type_):
    """The key that a change of key brings, which signs second."""
    if type_ != "DeviceChangeStatement" or envelope["payload_type"] != PAYLOAD_TYPES[type_]:
        return None
    try:
        return decode(type_, envelope["payload"])["new_key"]
    except Refusal:
        return None


def open_envelope(envelope, raw, type_):
    new_key = key_taking_over(envelope, type_)
    need(len(envelope["signatures"]) == (1 if new_key is None else 2), "signature_count")
    need(new_key is None or key_fault(new_key) is None, "new_key")
    keys = [raw] if new_key is None else [raw, new_key["key"]]
    for signature, signed_by in zip(envelope["signatures"], keys):
        need(signature["keyid"] in ("", thumbprint(signed_by)), "key_id")
        check_signature(signed_by, signature["sig"], pae(envelope["payload_type"], envelope["payload"]))
    need(envelope["payload_type"] == PAYLOAD_TYPES[type_], "payload_type")
    message = decode(type_, envelope["payload"])
    check_form(type_, message)
    return message


def moment(time):
    return time["seconds"] * 1000 + time["nanos"] // 10**6  # Compared in whole milliseconds.


def text(least, most):
    # Controls, line and paragraph separators, bidirectional marks, embeddings and isolates.
    return re.compile("[^\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
                      "{%d,%d}" % (least, most)).fullmatch


def locale(value):
    return len(value) <= 35 and re.fullmatch("([A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*)?", value)


TEXTS = {"application_name": text(1, 128), "account_name": text(0, 128), "device_name": text(1, 64),
         "app_version": text(0, 32), "label": text(1, 36), "value": text(1, 256),
         "topic": re.compile("[A-Za-z0-9._-]{1,128}").fullmatch,
         "device_token": re.compile("[0-9A-Fa-f]{8,256}").fullmatch,
         "registration_token": re.compile("[0-9A-Za-z:_-]{22,4096}").fullmatch,
         "locale": locale, "user_id": lambda v: 1 <= len(v.encode()) <= 256,
         "match_code": lambda v: True}  # Its form is the challenge's to say.


def field_is_sound(name, kind, value, m):
    if name == "denial_reason":  # A device may give only the first two reasons.
        if m.get("verdict", m.get("state")) != (2 if "verdict" in m else 3):
            return value == 0
        return value in ((1, 2) if "verdict" in m else (1, 2, 3, 4))
    if name == "factor_type":  # By the reason: none is an approval, 4 the server's own denial.
        return value in {0: (1, 2, 3), 4: (0,)}.get(m["denial_reason"], (1,))
    if name == "factor_id":
        return (value != "") == (m["factor_type"] != 0)
    if name == "decision_sha256":
        return len(value) == (32 if m["factor_type"] == 1 else 0)
    if name == "user_verification":
        return value in (1, 2, 3, 4) if m["verdict"] == 1 else value == 0
    if name == "match_code" and m["verdict"] != 1:
        return value == ""
    if name == "state":
        return value in (2, 3)
    if name == "match_code_digits":
        return value == 0 or 2 <= value <= 6
    if name == "details":
        return len(value) <= 16
    if name in ("not_after", "expires_at") and value is not None:
        start = m.get("not_before", m.get("created_at"))
        life = moment(value) - moment(start) if start else 1
        if life <= 0 or (name == "not_after" and life > 366 * 86400 * 1000):
            return False
    if kind == "Timestamp":  # The years 1 to 9999.
        return value is not None and -62135596800 <= value["seconds"] <= 253402300799 \
            and 0 <= value["nanos"] < 10**9
    if kind == "PublicKey":
        return key_fault(value) is None
    if kind in ENUMS:  # DetailKind is the one open enumeration.
        return kind == "DetailKind" or (value != 0 and value in ENUMS[kind].values())
    if kind == "bytes":
        return len(value) == 32
    if kind == "string":
        return bool(TEXTS.get(name, len)(value))
    return kind == "bool" or kind in MESSAGES or value > 0


CHANGES = ("profile", "new_key", "unenroll")  # Of one oneof.


def check_form(type_, message, path=""):
    for _, name, label, kind in MESSAGES[type_]:
        value = message[name]
        if label == "optional" and value is None:
            continue
        if name in CHANGES:
            need(any(message[change] is not None for change in CHANGES), "field", field="change")
            if value is None:
                continue
        need(field_is_sound(name, kind, value, message), "field", field=path + name)
        if kind in MESSAGES and kind not in ("PublicKey", "Timestamp"):
            for item in value if label == "repeated" else [value] if value is not None else []:
                check_form(kind, item, f"{path}{name}.")


# --- Section 12, receipts ---

def foreign(reason, challenge, decision, settlement):
    """Blames the part that the two others contradict (rows 14 and 15)."""
    if decision is not None:
        need(challenge in (decision, settlement), reason, part="challenge")
        need(decision == challenge, reason, part="decision")
    need(settlement == challenge, reason, part="settlement")


def open_with_any(part, envelope, keys):
    """The statement and the index of the first key that opens it, or the furthest fault (row 7)."""
    faults = [] if keys else [{"reason": "signature"}]
    type_ = part.title() + "Statement"
    for index, key in enumerate(keys):
        try:
            return open_envelope(envelope, key["public_key"]["key"], type_), index
        except Refusal as fault:
            faults.append(fault.words)
    distance = {"signature_count": 0, "key_id": 0, "signature": 1}
    raise Refusal("envelope", part=part, fault=max(  # The first among equals.
        faults, key=lambda fault: distance.get(fault["reason"], 2)))


def open_decision(envelope, c, s, b):
    need(envelope is not None, "missing", part="decision")
    d = fault = None
    try:
        d = open_envelope(envelope, b["public_key"]["key"], "DecisionStatement")
    except Refusal as why:
        fault = why.words  # Row 11 comes first.
    if s["challenge_id"] == c["challenge_id"] and s["factor_id"] != b["device_id"]:
        bound = d is not None and d["device_id"] == b["device_id"]
        raise Refusal("other_device", part="settlement" if bound else "binding")
    need(d is not None, "envelope", part="decision", fault=fault)
    return d


def check_verdict(c, d, s):
    approves, approved = d["verdict"] == 1, s["state"] == 2
    if not approved and s["denial_reason"] == 3:  # A wrong match code is an approval that failed.
        need(approves and c["match_code_digits"] > 0, "verdict_disagrees")
    else:
        need(approves == approved and d["denial_reason"] == s["denial_reason"], "verdict_disagrees")
    if approves:
        need(re.fullmatch("[0-9]{%d}" % c["match_code_digits"], d["match_code"]), "match_code_form")
        need(d["user_verification"] > 1 or not c["user_verification_required"],
             "user_verification_missing")


def verify_receipt(receipt, server_id, expected):
    root = receipt["root_key"]
    need(key_fault(root) is None, "root_key", key=key_fault(root))
    need(thumbprint(root["key"]) == server_id, "root_key_not_pinned")
    need(len(receipt["server_keys"]) <= 3, "server_key_unused")
    keys = []
    for envelope in receipt["server_keys"]:
        try:
            keys.append(open_envelope(envelope, root["key"], "ServerKeyStatement"))
        except Refusal as fault:
            raise Refusal("server_key", fault=fault.words) from None
        need(keys[-1]["server_id"] == server_id, "server_key_other_server")

    opened, opener = {}, {}

    def open_part(part):
        need(receipt[part] is not None, "missing", part=part)
        opened[part], opener[part] = open_with_any(part, receipt[part], keys)
        return opened[part]

    c, s = open_part("challenge"), open_part("settlement")
    by_device = s["factor_type"] == ENUMS["FactorType"]["FACTOR_TYPE_DEVICE"]
    if by_device:
        b = open_part("binding")
    else:
        for part in ("decision", "binding"):
            need(receipt[part] is None, "unexpected", part=part)
    need(set(opener.values()) == set(range(len(keys))), "server_key_unused")
    if by_device:
        d = opened["decision"] = open_decision(receipt["decision"], c, s, b)

    for part in ("challenge", "decision", "settlement", "binding"):
        need(part not in opened or opened[part]["server_id"] == server_id, "other_server", part=part)
    foreign("other_challenge", c["challenge_id"], d["challenge_id"] if by_device else None,
            s["challenge_id"])
    foreign("other_content", sha256(receipt["challenge"]["payload"]),
            d["challenge_sha256"] if by_device else None, s["challenge_sha256"])
    if by_device:
        digest = sha256(receipt["decision"]["payload"])
        need(s["decision_sha256"] == digest, "other_decision")
        need(d["device_id"] == b["device_id"], "other_device", part="decision")
        need(c["application_id"] == b["application_id"], "other_application")
        need(c["user_id"] == b["user_id"], "other_user")

    times = {"challenge": moment(c["created_at"]), "settlement": moment(s["settled_at"])}
    if by_device:
        times["binding"] = moment(b["bound_at"])
    for part, time in times.items():
        key = keys[opener[part]]
        need(moment(key["not_before"]) <= time < moment(key["not_after"]), "server_key_not_valid",
             part=part)
    settled = times["settlement"]
    need(times["challenge"] <= settled < moment(c["expires_at"]), "settled_outside_lifetime")
    need(times.get("binding", settled) <= settled, "bound_after_settlement")
    if by_device:
        check_verdict(c, d, s)

    same(set(expected) - {"application_id", "user_id", "attempt_id", "purpose", "min_key_version"},
         set(), "unknown expectations")
    for name in ("application", "user"):
        need(expected.get(f"{name}_id") in (None, c[f"{name}_id"]), f"not_expected_{name}")
    if "attempt_id" in expected:
        need(sha256(expected["attempt_id"].encode()) == c["attempt_sha256"], "not_expected_attempt")
    if "purpose" in expected:
        need(ENUMS["Purpose"][expected["purpose"]] == c["purpose"], "not_expected_purpose")
    version = min(key["version"] for key in keys)
    need(version >= expected.get("min_key_version", 0), "server_key_too_old")
    return s["state"], "device" if by_device else "server", version


# --- Section 6, pairing links ---

def is_address(kind, text):
    try:
        return bool(kind(text))
    except ValueError:
        return False


def is_origin(value):
    host = r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))"
    parts = re.fullmatch(rf"(https?)://{host}(?::([0-9]+))?", value)
    if not parts or (parts[4] and not 1 <= int(parts[4]) <= 65535):
        return False
    scheme, v6, host, _ = parts.groups()
    if v6:
        return is_address(ipaddress.IPv6Address, v6) and (scheme == "https" or v6 == "::1")
    return scheme == "https" or host == "localhost" or \
        is_address(ipaddress.IPv4Address, host) and host.startswith("127.")


def parse_link(link):
    address, mark, fragment = link.strip().partition("#")
    page = address.removesuffix("/device")
    need(mark and page != address and is_origin(page), "address")
    pairs = [pair.partition("=")[::2] for pair in fragment.split("&")]
    values = dict(pairs)
    need(len(values) == len(pairs) and set(values) <= {"v", "t", "k", "s"}, "parameter")
    need("v" in values, "parameter")
    need(values["v"] == "1", "version")
    need("t" in values, "parameter")
    need(re.fullmatch("[A-Z2-7]{32}", values["t"]), "token")
    need("k" in values, "parameter")
    need(re.fullmatch("[A-Za-z0-9_-]{43}", values["k"]), "root_key")
    root = base64.urlsafe_b64decode(values["k"] + "=")
    need(b64url(root) == values["k"] and key_fault(ed25519(root)) is None, "root_key")
    api = page
    if "s" in values:
        api = unquote_to_bytes(values["s"]).decode(errors="replace")
        need(is_origin(api), "address")
    return {"page_origin": page, "api_origin": api, "root_key": root.hex(), "token": values["t"],
            "server_id": thumbprint(root), "token_sha256": sha256(values["t"].encode()).hex()}


# --- Section 14, one function for each kind of vector ---

def signer(name):
    accepted = json.loads((PROTO / "vectors/keys.json").read_text())["accepted"]
    seed, = [bytes.fromhex(key["seed"]) for key in accepted if key["name"] == name]
    return Ed25519PrivateKey.from_private_bytes(seed)


def refused(refusal, function, *arguments):
    try:
        function(*arguments)
    except Refusal as found:
        same(found.words, refusal, "refusal")
    else:
        raise AssertionError(f"not refused: {refusal}")


def key_accepted(v):
    raw = signer(v["name"]).public_key().public_bytes_raw()
    same((raw.hex(), jwk(raw), thumbprint(raw), key_fault(ed25519(raw))),
         (v["public_key"], v["jwk"], v["thumbprint"], None), "key")


def key_rejected(v):
    key = v["key"] and {"algorithm": v["key"]["algorithm"], "key": bytes.fromhex(v["key"]["bytes"])}
    same(key_fault(key), v["reason"], "reason")


def verify_raw(v):
    raw = bytes.fromhex(v["public_key"])
    need(key_fault(ed25519(raw)) is None, "key")
    check_signature(raw, bytes.fromhex(v["signature"]), bytes.fromhex(v["message"]))


def signature_accepted(v):
    verify_raw(v)
    key = signer(v["name"])
    same(key.public_key().public_bytes_raw().hex(), v["public_key"], "public key")
    same(key.sign(bytes.fromhex(v["message"])).hex(), v["signature"], "signature")


def link_accepted(v):
    same(parse_link(v["link"]), {k: v[k] for k in v if k not in ("name", "link")}, "link")
    link = f"{v['page_origin']}/device#v=1&t={v['token']}&k={b64url(bytes.fromhex(v['root_key']))}"
    if v["api_origin"] != v["page_origin"]:
        link += "&s=" + quote(v["api_origin"], safe="")
    same(link, v["link"], "link from its fields")


def statement_accepted(v):
    type_, raw = v["statement"], bytes.fromhex(v["public_key"])
    envelope = decode("Envelope", bytes.fromhex(v["envelope_bytes"]))
    message = open_envelope(envelope, raw, type_)
    same(from_json("Envelope", v["envelope"]), envelope, "envelope from JSON")
    if v["fields"] is None:  # JSON can't name an unknown enumeration value: from bytes only.
        kinds = {detail["kind"] for detail in message.get("details", [])}
        same(kinds <= set(ENUMS["DetailKind"].values()), False, "fields can be told")
    else:
        same(from_json(type_, v["fields"]), message, "fields")
        message = from_json(type_, v["fields"])
    payload, key = encode(type_, message), signer(v["signer"])
    covered = pae(PAYLOAD_TYPES[type_], payload)
    keyid = envelope["signatures"][0]["keyid"]  # May be left out.
    signatures = [{"sig": key.sign(covered), "keyid": keyid and thumbprint(raw)}]
    if v["second_signer"] is not None:
        second = signer(v["second_signer"])
        second_raw = second.public_key().public_bytes_raw()
        signatures.append({"sig": second.sign(covered), "keyid": thumbprint(second_raw)})
    built = {"payload": payload, "payload_type": PAYLOAD_TYPES[type_], "signatures": signatures}
    found = {"payload": payload.hex(), "payload_type": PAYLOAD_TYPES[type_], "pae": covered.hex(),
             "payload_sha256": sha256(payload).hex(), "signature": key.sign(covered).hex(),
             "public_key": key.public_key().public_bytes_raw().hex(),
             "envelope_bytes": encode("Envelope", built).hex()}
    same(found, {name: v[name] for name in found}, "built from fields")


def receipt_accepted(v):
    found = verify_receipt(from_json("Receipt", v["receipt"]), v["server_id"], v["expected"])
    same(found, (ENUMS["ChallengeState"][v["state"]], v["proof"], v["key_version"]), "outcome")


# Which fields a vector has, and what checks it. Others are an error, so that nothing is skipped.
KINDS = {
    ("keys", "accepted"): ("jwk name public_key seed thumbprint", key_accepted),
    ("keys", "rejected"): ("key name reason", key_rejected),
    ("links", "accepted"): ("api_origin link name page_origin root_key server_id token "
                            "token_sha256", link_accepted),
    ("links", "rejected"): ("link name reason", lambda v: refused(
        {"reason": v["reason"]}, parse_link, v["link"])),
    ("pae", "encodings"): ("name pae payload payload_type", lambda v: same(
        pae(v["payload_type"], bytes.fromhex(v["payload"])).hex(), v["pae"], "encoding")),
    ("signatures", "accepted"): ("message name public_key signature", signature_accepted),
    ("signatures", "rejected"): ("message name public_key reason signature", lambda v: refused(
        {"reason": v["reason"]}, verify_raw, v)),
    ("statements", "accepted"): ("envelope envelope_bytes fields name pae payload payload_sha256 "
                                 "payload_type public_key second_signer signature signer statement",
                                 statement_accepted),
    ("statements", "rejected"): ("envelope name public_key refusal statement", lambda v: refused(
        v["refusal"], open_envelope, from_json("Envelope", v["envelope"]),
        bytes.fromhex(v["public_key"]), v["statement"])),
    ("receipts", "accepted"): ("expected key_version name proof receipt server_id state",
                               receipt_accepted),
    ("receipts", "rejected"): ("expected name receipt refusal server_id", lambda v: refused(
        v["refusal"], verify_receipt, from_json("Receipt", v["receipt"]), v["server_id"],
        v["expected"])),
}


def main():
    passed, failures = 0, []
    found = {path.name for path in (PROTO / "vectors").iterdir()} - {"README.md"}
    files = {f"{name}.json" for name, _ in KINDS}
    failures += [f"{name}: unknown or missing file" for name in sorted(found ^ files)]
    for name in sorted(found & files):
        groups, counts = json.loads((PROTO / "vectors" / name).read_text()), []
        wanted = {group for file, group in KINDS if f"{file}.json" == name}
        failures += [f"{name}: unknown or missing kind: {g}" for g in sorted(set(groups) ^ wanted)]
        for group in sorted(set(groups) & wanted):
            fields, check = KINDS[name.removesuffix(".json"), group]
            right = 0
            for vector in groups[group]:
                try:
                    same(" ".join(sorted(vector)), fields, "the vector's fields")
                    check(vector)
                    right += 1
                except Exception as why:  # Whatever goes wrong is a failure of this one vector.
                    failures.append(f"{name}: {group}: {vector.get('name')}: {why!r}")
            names = {vector.get("name") for vector in groups[group]}
            if not names or len(names) < len(groups[group]):
                failures.append(f"{name}: {group}: empty, or a name twice")
            passed += right
            counts.append(f"{right} of {len(groups[group])} {group}")
        print(f"{name}: {', '.join(counts)}")
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
