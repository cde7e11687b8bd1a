"""The sample application, or another program of one file, as an image, put into a repository as a person without docker does."""

import hashlib
import io
import json
import os
import pathlib
import subprocess
import tarfile
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent.parent / "examples/echo-service/app/echo.rs"


def put(player, repository, source=SOURCE):
    """Compiles a program, the echo server, packs a `docker save` archive and imports it."""
    with tempfile.TemporaryDirectory(prefix="landfall-oracle-") as folder:
        image = pathlib.Path(folder) / "image.tar"
        build(image, source)
        player.server.command("image", "import", str(image), repository)


def build(image, source=SOURCE):
    """Writes the archive, in which the image is named `echo:latest`."""
    with tempfile.TemporaryDirectory(prefix="landfall-oracle-") as folder:
        program = pathlib.Path(folder) / "echo"
        subprocess.run(
            [os.environ.get("RUSTC", "rustc"), "--edition", "2024", "-C", "target-feature=+crt-static", "-C", "opt-level=s",
             "-C", "strip=symbols", "-o", program, source],
            check=True, stdin=subprocess.DEVNULL, timeout=300,
        )
        layer = _archive({"echo": program.read_bytes()}, mode=0o755)
        config = json.dumps({
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "config": {"Entrypoint": ["/echo"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
            "history": [{"created_by": "the oracle"}],
        }).encode()
        manifest = json.dumps([{"Config": "config.json", "RepoTags": ["echo:latest"], "Layers": ["layer.tar"]}]).encode()
        image.write_bytes(_archive({"config.json": config, "layer.tar": layer, "manifest.json": manifest}))


def _archive(files, mode=0o644):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
