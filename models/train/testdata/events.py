"""Prints what Google's protobuf runtime reads in a TensorBoard events file, a JSON object an event.

  /usr/bin/python3 models/train/testdata/events.py FILE        (Debian's python3-protobuf)

The messages are declared here from TensorFlow's event.proto and summary.proto, for want of TensorBoard itself.
Sums of records are checked bit by bit. Fields that the messages do not have are an error.
"""
import hashlib
import json
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, unknown_fields

DOUBLE, FLOAT, INT64, INT32, STRING, BYTES, MESSAGE = 1, 2, 3, 5, 9, 12, 11
MESSAGES = {
    "Image": [("height", 1, INT32), ("width", 2, INT32), ("colorspace", 3, INT32), ("encoded_image_string", 4, BYTES)],
    "Value": [("tag", 1, STRING), ("simple_value", 2, FLOAT), ("image", 4, "Image")],
    "Summary": [("value", 1, ["Value"])],
    "SessionLog": [("status", 1, INT32)],
    "Event": [("wall_time", 1, DOUBLE), ("step", 2, INT64), ("file_version", 3, STRING), ("summary", 5, "Summary"), ("session_log", 7, "SessionLog")],
}


def event():
    f = descriptor_pb2.FileDescriptorProto(name="event.proto", package="t", syntax="proto3")
    for name, fields in MESSAGES.items():
        m = f.message_type.add(name=name)
        for field, number, kind in fields:
            many = isinstance(kind, list)
            kind = kind[0] if many else kind
            x = m.field.add(name=field, number=number, label=3 if many else 1, type=MESSAGE if isinstance(kind, str) else kind)
            if isinstance(kind, str):
                x.type_name = ".t." + kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(f)
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName("t.Event"))


def masked(data):
    crc = 0xFFFFFFFF
    for b in data:
        crc ^= b
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def known(m):
    assert len(unknown_fields.UnknownFieldSet(m)) == 0, f"unknown fields in {m}"
    for field, x in m.ListFields():
        if field.message_type:
            for part in x if field.label == field.LABEL_REPEATED else [x]:
                known(part)


data, Event = open(sys.argv[1], "rb").read(), event()
while data:
    size, sum_of_size = struct.unpack("<QI", data[:12])
    body, sum_of_body = data[12:12 + size], struct.unpack("<I", data[12 + size:16 + size])[0]
    assert masked(data[:8]) == sum_of_size and masked(body) == sum_of_body, "a sum is wrong"
    e = Event.FromString(body)
    known(e)
    out = dict(wall=e.wall_time, step=e.step, version=e.file_version, status=e.session_log.status, scalars={}, images={})
    for v in e.summary.value:
        if v.HasField("image"):
            i = v.image
            out["images"][v.tag] = [i.height, i.width, i.colorspace, hashlib.sha256(i.encoded_image_string).hexdigest()]
        else:
            out["scalars"][v.tag] = v.simple_value
    print(json.dumps(out))
    data = data[16 + size:]
