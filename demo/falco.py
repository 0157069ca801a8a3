"""Events of Falco for the demo's clusters: the shipped rules, their fields and their words.

Rules and field names are those of falco_rules.yaml since 4.0 and of k8s_audit_rules.yaml; what
happens in them is made up.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Event = dict[str, Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STABLE = ("maturity_stable", "container")


@dataclass(frozen=True)
class Place:
    """The container that an event is about."""

    namespace: str
    pod: str
    container: str
    image: str
    node: str


@dataclass(frozen=True)
class Rule:
    """One of Falco's rules; `weight` says how often it is seen."""

    name: str
    priority: str
    tags: tuple[str, ...]
    message: str
    fields: Callable[[random.Random, Place], Event]
    weight: int
    source: str = "syscall"


def _process(
    name: str, path: str, command: str, parent: str, *, terminal: int = 0, user: str = "root"
) -> Event:
    return {
        "proc.cmdline": command,
        "proc.exepath": path,
        "proc.name": name,
        "proc.pname": parent,
        "proc.tty": terminal,
        "user.loginuid": -1,
        "user.name": user,
        "user.uid": 0 if user == "root" else 1000,
    }


def _shell(rng: random.Random, _: Place) -> Event:
    shell = rng.choice(("sh", "bash"))
    command = rng.choice((f"{shell}", f"{shell} -c uptime", f"{shell} -c clear; (bash || ash)"))
    return {
        "evt.type": "execve",
        "evt.arg.flags": "EXE_WRITABLE|EXE_LOWER_LAYER",
        **_process(shell, f"/bin/{shell}", command, "runc", terminal=34816),
    }


def _sensitive_file(rng: random.Random, _: Place) -> Event:
    file = rng.choice(("/etc/shadow", "/etc/sudoers", "/etc/pam.d/common-auth"))
    return {
        "evt.type": "openat",
        "fd.name": file,
        "proc.aname[2]": "containerd-shim",
        "proc.aname[3]": "systemd",
        "proc.aname[4]": None,
        **_process("cat", "/usr/bin/cat", f"cat {file}", "sh"),
    }


def _connection(rng: random.Random, port: int, host: str) -> Event:
    local = rng.randrange(32768, 60999)
    return {
        "evt.type": "connect",
        "fd.l4proto": "tcp",
        "fd.lport": local,
        "fd.name": f"10.244.{rng.randrange(4)}.{rng.randrange(2, 250)}:{local}->{host}:{port}",
        "fd.rport": port,
        "fd.type": "ipv4",
    }


def _api_server(rng: random.Random, _: Place) -> Event:
    command = "curl -sk https://kubernetes.default.svc/api/v1/namespaces"
    return _connection(rng, 443, "10.96.0.1") | _process("curl", "/usr/bin/curl", command, "sh")


def _mysql(rng: random.Random, place: Place) -> Event:
    """A command line that gives a password away: what redaction is for."""
    password = hashlib.sha256(place.pod.encode()).hexdigest()[:12]
    command = f"mysql -h db.internal -u {rng.choice(('app', 'report'))} -p{password} orders"
    return {
        "evt.type": "execve",
        "evt.arg.flags": "EXE_LOWER_LAYER",
        **_process("mysql", "/usr/bin/mysql", command, "bash", terminal=34817),
    }


def _dropped_binary(rng: random.Random, _: Place) -> Event:
    name = rng.choice(("xmrig", "kinsing", "kdevtmpfsi"))
    return {
        "evt.type": "execve",
        "evt.arg.flags": "EXE_WRITABLE|EXE_UPPER_LAYER",
        "container.start_ts": rng.randrange(1_760_000_000_000_000_000, 1_790_000_000_000_000_000),
        "proc.aname[2]": "containerd-shim",
        "proc.cwd": "/tmp/",  # noqa: S108 - where intruders put things
        "proc.exe": f"./{name}",
        "proc.exe_ino.ctime_duration_proc_start": rng.randrange(10**8, 10**10),
        "proc.sname": "sh",
        **_process(name, f"/tmp/{name}", f"{name} -o pool.example:3333", "sh"),  # noqa: S108
    }


def _redirected(rng: random.Random, _: Place) -> Event:
    return {
        **_connection(rng, 4444, "203.0.113.9"),
        "evt.type": "dup2",
        "fd.sip": "203.0.113.9",
        "proc.aname[2]": "containerd-shim",
        "proc.aname[3]": "systemd",
        "proc.aname[4]": None,
        **_process("bash", "/bin/bash", "bash -i", "python3"),
    }


def _audit(verb: str, place: Place, code: str) -> Event:
    return {
        "ka.response.code": code,
        "ka.target.namespace": place.namespace,
        "ka.target.resource": "pods",
        "ka.user.name": "jane@acme.example",
        "ka.verb": verb,
    }


def _exec_pod(rng: random.Random, place: Place) -> Event:
    return {
        **_audit("create", place, "101"),
        "ka.target.name": place.pod,
        "ka.target.subresource": "exec",
        "ka.uri.param[command]": rng.choice(("sh", "bash", "env")),
    }


def _privileged_pod(_: random.Random, place: Place) -> Event:
    return {
        **_audit("create", place, "201"),
        "ka.req.pod.containers.image": place.image,
        "ka.resp.name": place.pod,
    }


RULES = (
    Rule(
        "Terminal shell in container",
        "Notice",
        (*_STABLE, "shell", "mitre_execution", "T1059"),
        "A shell was spawned in a container with an attached terminal",
        _shell,
        weight=8,
    ),
    Rule(
        "Terminal shell in container",
        "Notice",
        (*_STABLE, "shell", "mitre_execution", "T1059"),
        "A shell was spawned in a container with an attached terminal",
        _mysql,
        weight=2,
    ),
    Rule(
        "Read sensitive file untrusted",
        "Warning",
        (*_STABLE, "host", "filesystem", "mitre_credential_access", "T1555"),
        "Sensitive file opened for reading by non-trusted program",
        _sensitive_file,
        weight=6,
    ),
    Rule(
        "Contact K8S API Server From Container",
        "Notice",
        (*_STABLE, "network", "k8s", "mitre_discovery", "T1565"),
        "Unexpected connection to K8s API Server from container",
        _api_server,
        weight=6,
    ),
    Rule(
        "Drop and execute new binary in container",
        "Critical",
        (*_STABLE, "process", "mitre_persistence", "TA0003", "PCI_DSS_11.5.1"),
        "Executing binary not part of base image",
        _dropped_binary,
        weight=1,
    ),
    Rule(
        "Redirect STDOUT/STDIN to Network Connection in Container",
        "Notice",
        (*_STABLE, "network", "process", "mitre_execution", "T1059"),
        "Redirect stdout/stdin to network connection",
        _redirected,
        weight=1,
    ),
    Rule(
        "Attach/Exec Pod",
        "Notice",
        ("k8s",),
        "Attach/Exec to pod",
        _exec_pod,
        weight=3,
        source="k8s_audit",
    ),
    Rule(
        "Create Privileged Pod",
        "Warning",
        ("k8s",),
        "Pod started with privileged container",
        _privileged_pod,
        weight=1,
        source="k8s_audit",
    ),
)
_WORDS = {
    "fd.name": "file",
    "proc.cmdline": "command",
    "proc.name": "process",
    "proc.pname": "parent",
    "proc.tty": "terminal",
    "user.name": "user",
}


def alert(
    rng: random.Random,
    *,
    namespace: str,
    pod: str,
    container: str,
    image: str,
    node: str,
    at: datetime,
) -> Event:
    """One event of a container at a time, as Falco posts it."""
    place = Place(namespace, pod, container, image, node)
    (rule,) = rng.choices(RULES, weights=[rule.weight for rule in RULES])
    since = at - _EPOCH
    seconds = since.days * 86_400 + since.seconds
    nanos = since.microseconds * 1_000 + rng.randrange(1_000)
    fields = {"evt.time": seconds * 1_000_000_000 + nanos, **rule.fields(rng, place)}
    if rule.source == "syscall":
        fields |= _in_container(place)
    clock = f"{at.astimezone(UTC):%H:%M:%S}.{nanos:09}"
    words = " ".join(
        f"{_WORDS.get(name, name.replace('.', '_'))}={'<NA>' if value is None else value}"
        for name, value in fields.items()
        if name != "evt.time"
    )
    return {
        "hostname": node,
        "output": f"{clock}: {rule.priority} {rule.message} | {words}",
        "output_fields": dict(sorted(fields.items())),
        "priority": rule.priority,
        "rule": rule.name,
        "source": rule.source,
        "tags": sorted(rule.tags),
        "time": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09}Z",
    }


def _in_container(place: Place) -> Event:
    name, _, last = place.image.rpartition("/")[2].partition(":")
    folder = place.image.rpartition("/")[0] or "docker.io/library"
    made_of = f"{place.namespace}/{place.pod}/{place.container}"
    return {
        "container.id": hashlib.sha256(made_of.encode()).hexdigest()[:12],
        "container.image.repository": f"{folder}/{name}",
        "container.image.tag": last.partition("@")[0] or "latest",
        "container.name": place.container,
        "k8s.ns.name": place.namespace,
        "k8s.pod.name": place.pod,
    }
