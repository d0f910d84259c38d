"""Validates Kubernetes objects strictly: a field that no schema knows is a fault.

objectSchemas.py OBJECTS.json VERSIONS CRD.yaml...
  OBJECTS.json  a list of objects
  VERSIONS      of Kubernetes, with commas: core objects are checked against each
  CRD.yaml      CustomResourceDefinitions, for the other objects

Prints {"checked": {kind: how many checks}, "faults": ["kind/name: where: what"]}. What an API server
checks besides (CEL rules, names that must exist) isn't checked.
"""
import json
import sys

import jsonschema
import kubernetes_validate
import yaml


def strict(node):
    """A structural schema as JSON Schema that refuses unknown fields, as kubectl's strict validation does."""
    result = {}
    for key, value in node.items():
        if key == "properties":
            result[key] = {name: strict(child) for name, child in value.items()}
        elif key in ("items", "additionalProperties", "not") and isinstance(value, dict):
            result[key] = strict(value)
        elif key in ("allOf", "anyOf", "oneOf"):
            # Value checks: fields are declared outside.
            result[key] = value
        elif key == "pattern" and "(?i)" in value:
            # Go takes flags anywhere, Python at the start alone.
            result[key] = "(?i)" + value.replace("(?i)", "")
        elif not key.startswith("x-kubernetes") and key not in ("nullable", "format", "default"):
            result[key] = value
    opened = node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node
    if "properties" in node and not opened:
        result["additionalProperties"] = False
    if node.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
        result.setdefault("anyOf", [{"type": "integer"}, {"type": "string"}])
    if node.get("nullable") and "type" in result:
        result["type"] = [result["type"], "null"]
    return result


def custom_validators(files, kinds):
    validators = {}
    for file in files:
        with open(file, encoding="utf-8") as source:
            text = source.read()
        # Some take seconds to parse: only those of a kind that is there.
        if not any(f"    kind: {kind}\n" in text for kind in kinds):
            continue
        for crd in yaml.safe_load_all(text):
            if not crd or crd["kind"] != "CustomResourceDefinition":
                continue
            spec = crd["spec"]
            for version in spec["versions"]:
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                schema = strict(version["schema"]["openAPIV3Schema"])
                jsonschema.Draft202012Validator.check_schema(schema)
                validators[key] = jsonschema.Draft202012Validator(schema)
    return validators


def core_faults(given, versions):
    for version in versions:
        try:
            kubernetes_validate.validate(given, version, strict=True)
        except jsonschema.ValidationError as error:
            where = ".".join(str(part) for part in error.path)
            yield f"{version}: {where}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{version}: {error.message}"


def main():
    objects_file, versions, *crds = sys.argv[1:]
    with open(objects_file, encoding="utf-8") as text:
        objects = json.load(text)
    validators = custom_validators(crds, {given["kind"] for given in objects})
    versions = versions.split(",")
    checked = {}
    faults = []
    for given in objects:
        kind = given["kind"]
        custom = validators.get((given["apiVersion"], kind))
        if custom is None:
            found = list(core_faults(given, versions))
            checked[kind] = checked.get(kind, 0) + len(versions)
        else:
            errors = custom.iter_errors(given)
            found = [f"{'.'.join(str(p) for p in error.path)}: {error.message}" for error in errors]
            checked[kind] = checked.get(kind, 0) + 1
        faults += [f"{kind}/{given['metadata']['name']}: {fault}" for fault in found]
    print(json.dumps({"checked": checked, "faults": faults}))


main()
