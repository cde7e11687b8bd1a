"""Answers: one raw document against the model's output shape.

Nothing in it that the model does not know, every value of the form that the model says, nothing left out that the model
requires. What was seen non-empty is remembered.
"""

import base64
import datetime
import json
import re
import xml.etree.ElementTree

import botocore.parsers

INTEGER = re.compile(r"-?[0-9]+")
# Values that AWS answers with, as its documentation's examples show, though its model does not list them.
BESIDES = {
    ("AttachmentStatus", "available"),
    ("NetworkInterfaceType", "nat_gateway"),
    # The model spells the states of VPC endpoints with a capital; AWS and Terraform's provider do not.
    ("State", "available"),
    ("State", "deleting"),
    ("State", "pending"),
}


class Answer:
    """The check of one answer: `problems`, and `seen`, the paths of members that held something."""

    def __init__(self, operation, protocol):
        self.operation = operation
        self.protocol = protocol
        self.problems = []
        self.seen = set()

    def check(self, body):
        shape = self.operation.output_shape
        if self.protocol == "cbor":
            self._json(shape, _cbor(body), ()) if shape else None
        elif self.protocol == "json":
            self._json(shape, json.loads(body or b"{}"), ()) if shape else None
        else:
            self._document(shape, xml.etree.ElementTree.fromstring(body))
        return self

    def _problem(self, path, text):
        self.problems.append(f"{'.'.join(path) or 'the document'}: {text}")

    def _saw(self, path):
        for length in range(1, len(path) + 1):
            self.seen.add(".".join(path[:length]).replace(".[]", "[]"))

    # XML

    def _document(self, shape, root):
        name = self.operation.name + "Response"
        if _local(root.tag) != name:
            self._problem((), f"is a {_local(root.tag)}, not a {name}")
        namespace = self.operation.service_model.metadata.get("xmlNamespace")
        # EC2 writes its namespace with a stroke at the end, and the model says it without.
        if namespace and root.tag.split("}")[0].strip("{/") != namespace.strip("/"):
            self._problem((), f"is in the namespace of {root.tag}, not {namespace}")
        children = list(root)
        if self.protocol == "query":
            wrapper = shape.serialization.get("resultWrapper") if shape else None
            children = []
            for child in root:
                if _local(child.tag) == wrapper:
                    children = list(child)
                elif _local(child.tag) != "ResponseMetadata":
                    self._problem((), f"holds {_local(child.tag)}")
        else:
            children = [child for child in root if _local(child.tag) != "requestId"]
        if shape is None or not shape.members:
            # EC2 answers `<return>true</return>` where there is nothing to say.
            for child in children:
                if (_local(child.tag), child.text) != ("return", "true"):
                    self._problem((), f"holds {_local(child.tag)}, and the model knows no answer")
        else:
            self._structure(shape, children, ())

    def _structure(self, shape, children, path):
        known = {}
        for name, member in shape.members.items():
            if member.type_name == "list" and member.serialization.get("flattened"):
                spelled = member.member.serialization.get("name") or member.serialization.get("name", name)
            else:
                spelled = member.serialization.get("name", name)
            known[spelled] = (name, member)
        found = {}
        for child in children:
            found.setdefault(_local(child.tag), []).append(child)
        for tag, elements in found.items():
            if tag not in known:
                self._problem(path, f"holds {tag}, which the model does not know")
                continue
            name, member = known[tag]
            if member.type_name == "list" and member.serialization.get("flattened"):
                for element in elements:
                    self._xml(member.member, element, (*path, name, "[]"))
                continue
            if len(elements) > 1:
                self._problem((*path, name), f"is there {len(elements)} times")
            self._xml(member, elements[0], (*path, name))
        for name in shape.required_members:
            if name not in {known[tag][0] for tag in found if tag in known}:
                self._problem((*path, name), "is required and not there")

    def _xml(self, shape, element, path):
        kind = shape.type_name
        if kind == "structure":
            self._structure(shape, list(element), path)
        elif kind == "list":
            spelled = shape.member.serialization.get("name", "member")
            for child in element:
                if _local(child.tag) != spelled:
                    self._problem(path, f"holds {_local(child.tag)} where the model has {spelled}")
                self._xml(shape.member, child, (*path, "[]"))
        elif kind == "map":
            key_name = shape.key.serialization.get("name", "key")
            value_name = shape.value.serialization.get("name", "value")
            for entry in element:
                tags = [_local(child.tag) for child in entry]
                if _local(entry.tag) != "entry" or tags != [key_name, value_name]:
                    self._problem(path, f"holds {_local(entry.tag)} of {tags}")
                self._saw(path)
        else:
            if len(element):
                self._problem(path, f"holds {_local(element[0].tag)} where the model has a {kind}")
            self._text(shape, element.text or "", path)

    def _text(self, shape, text, path):
        kind = shape.type_name
        if kind == "boolean" and text not in ("true", "false"):
            self._problem(path, f"is '{text}', not true or false")
        elif kind in ("integer", "long") and not INTEGER.fullmatch(text):
            self._problem(path, f"is '{text}', not a number")
        elif kind == "timestamp":
            try:
                datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
            except ValueError:
                self._problem(path, f"is '{text}', not a time")
        self._scalar(shape, text, path)

    def _scalar(self, shape, value, path):
        enum = getattr(shape, "enum", None)
        if enum and value not in enum and (shape.name, value) not in BESIDES:
            self._problem(path, f"is '{value}', none of {', '.join(enum)}")
        if value != "":
            self._saw(path)

    # JSON

    def _json(self, shape, value, path):
        kind = shape.type_name
        expected = {
            "structure": dict, "map": dict, "list": list, "string": str, "boolean": bool, "integer": int, "long": int,
            "float": (int, float), "double": (int, float), "timestamp": (int, float), "blob": str,
        }[kind]
        if self.protocol == "cbor" and kind == "timestamp":
            expected = datetime.datetime
        if value is None:
            self._problem(path, "is null: AWS leaves it out")
        elif not isinstance(value, expected) or (isinstance(value, bool) and kind != "boolean"):
            self._problem(path, f"is {value!r}, not a {kind}")
        elif kind == "structure":
            known = {member.serialization.get("name", name): (name, member) for name, member in shape.members.items()}
            for key, inner in value.items():
                if key not in known:
                    self._problem(path, f"holds {key}, which the model does not know")
                    continue
                self._json(known[key][1], inner, (*path, known[key][0]))
            for name in shape.required_members:
                if shape.members[name].serialization.get("name", name) not in value:
                    self._problem((*path, name), "is required and not there")
        elif kind == "list":
            for inner in value:
                self._json(shape.member, inner, (*path, "[]"))
            if value:
                self._saw(path)
        elif kind == "map":
            for inner in value.values():
                self._json(shape.value, inner, (*path, "[]"))
            if value:
                self._saw(path)
        else:
            if kind == "blob":
                base64.b64decode(value, validate=True)
            self._scalar(shape, value, path)


def _cbor(body):
    """A document in CBOR; timestamps become those of Python."""
    parser = botocore.parsers.RpcV2CBORParser()
    return parser.parse_data_item(parser.get_peekable_stream_from_bytes(body)) if body else {}


def _local(tag):
    return tag.rsplit("}", 1)[-1]


def members(shape, path=(), above=()):
    """The paths of all members that an answer can hold."""
    found = []
    for name, member in shape.members.items() if shape else ():
        here = (*path, name)
        found.append(".".join(here).replace(".[]", "[]"))
        while member.type_name == "list":
            here = (*here, "[]")
            member = member.member
        if member.type_name == "structure" and member.name not in above:
            found += members(member, here, (*above, member.name))
    return found
