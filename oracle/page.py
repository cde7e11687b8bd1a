"""docs/coverage.md: what is supported, as the oracle found it."""

import pathlib

import botocore.session

from . import answers, probe

TITLES = {
    "ec2": "EC2", "ecr": "ECR", "ecs": "ECS", "elbv2": "Elastic Load Balancing v2", "iam": "IAM", "sts": "STS",
    "cloudwatch": "CloudWatch", "application-autoscaling": "Application Auto Scaling",
    "ssm": "Systems Manager Parameter Store", "secretsmanager": "Secrets Manager",
    "servicediscovery": "Cloud Map",
}
HEAD = """# Coverage

What Landfall takes and answers, operation by operation. `cargo xtask coverage` writes this page: it sends every input
member that AWS's published model (botocore {version}) knows, one at a time, and looks at every answer of a whole stack's
life. What is not listed as taken is refused by name, with AWS's error shape: nothing is accepted and ignored. An
operation that is not listed is refused as well.

In requests, *default only* means that a member may be absent, empty or AWS's documented default.

## Where Landfall differs from AWS

{limits}
"""


def write(table, requests, seen):
    """The page, in Markdown."""
    session = botocore.session.get_session()
    limits = (pathlib.Path(__file__).parent / "limits.md").read_text().strip()
    parts = [HEAD.format(version=botocore.__version__, limits=limits)]
    services = {}
    for service, operation in table:
        services.setdefault(service, []).append(operation)
    parts.append("## Summary\n")
    parts.append("| service | operations | request members taken | default only | answer members given |\n| --- | --- | --- | --- | --- |")
    bodies = []
    for service, names in services.items():
        model = session.get_service_model(service)
        taken = default = known_in = given = known_out = 0
        body = [f"\n## {TITLES.get(service, service)}\n"]
        for name in sorted(names):
            members = requests[service, name]
            outputs = answers.members(model.operation_model(name).output_shape)
            saw = seen.get((service, name), set())
            taken += sum(member.status in (probe.HONOURED, probe.PARTLY) for member in members)
            default += sum(member.status == probe.DEFAULT_ONLY for member in members)
            known_in += len(members)
            given += sum(path in saw for path in outputs)
            known_out += len(outputs)
            body.append(_operation(name, members, outputs, saw))
        title = TITLES.get(service, service)
        parts.append(
            f"| {title} | {len(names)} of {len(model.operation_names)} | {taken} of {known_in} | {default} | {given} of {known_out} |"
        )
        bodies += body
    return "\n".join(parts + bodies) + "\n"


def _operation(name, members, outputs, saw):
    lines = [f"### {name}\n"]

    def add(title, paths):
        if paths:
            lines.append(f"- {title}: {', '.join(paths)}")

    def of(status):
        return _folded([member.path for member in members], {member.path for member in members if member.status == status})

    if members and all(member.status == probe.REFUSED for member in members):
        return f"### {name}\n\n- refused as a whole, with a hint\n"
    add("takes", [f"`{member.path}`" for member in members if member.status == probe.HONOURED])
    add("takes some values", [f"`{m.path}` ({m.note})" for m in members if m.status == probe.PARTLY])
    add("default only", of(probe.DEFAULT_ONLY))
    add("refuses", of(probe.REFUSED))
    add("answers", _folded(outputs, {path for path in outputs if path in saw}, leaves=True))
    add("never answers", _folded(outputs, {path for path in outputs if path not in saw}))
    return "\n".join(lines) + "\n"


def _folded(all_paths, chosen, leaves=False):
    """The chosen paths; a structure stands for its members where all of them are chosen."""
    if leaves:
        # The innermost members name the ones around them.
        return [f"`{path}`" for path in all_paths if path in chosen and not any(_is_in(other, path) for other in chosen)]
    folded = []
    for path in all_paths:
        around = _around(path)
        whole = next(
            (outer for outer in around if all(other in chosen for other in all_paths if _is_in(other, outer))), None
        )
        if path in chosen and f"`{whole or path}`" not in folded:
            folded.append(f"`{whole or path}`")
    return folded


def _is_in(path, outer):
    return path.startswith((outer + ".", outer + "["))


def _around(path):
    """The structures around a member, the outermost first."""
    steps = path.split(".")
    return [".".join(steps[:length]).removesuffix("[]") for length in range(1, len(steps))]
