"""Recipes: how the image of an environment is made, as a Dockerfile that is the same for the same environment."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from lineage import environments
from lineage.artifacts import Artifact, digest_of
from lineage.settings import Settings

VERSION = 2  # of the recipe; a change of it builds every image anew
PREFIX = "/opt/environment"
PYTHON = f"{PREFIX}/bin/python"
USER = "10001:10001"
AUTHORITIES = "/opt/authorities.pem"

#: Labels of an image: the digest of its environment, and that of its recipe.
LABEL_ENVIRONMENT, LABEL_RECIPE = "io.lineage.environment", "io.lineage.recipe"
LABEL_BASE = "io.lineage.base"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What an image is made of, before anything of it is fetched."""

    #: The digest of the environment.
    environment: str
    #: The image below, as it is named: the settings' template or the environment's own.
    base: str
    version: str
    platform: str | None
    system_packages: Sequence[str]

    @classmethod
    def of(cls, environment: Artifact, settings: Settings) -> Self:
        """The recipe of an environment; raise InvalidInput where a part of it cannot be put into a Dockerfile."""
        body = environment.body
        version = str(body.get("version") or "")
        base = str(body.get("base_image") or settings.base_image).replace("{version}", version)
        packages = sorted(body.get("system_packages") or ())
        environments.check_image(base, packages)
        return cls(
            environment=environment.digest or "",
            base=base,
            version=version,
            platform=body.get("platform"),
            system_packages=packages,
        )

    @property
    def digest(self) -> str:
        """Equal for recipes that make the same image."""
        return digest_of([VERSION, self.environment, self.base, list(self.system_packages)])

    @property
    def tag(self) -> str:
        """The name of the image on the daemon."""
        return f"lineage-environment:{self.environment[:12]}-{self.digest[:8]}"

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the image."""
        return {LABEL_ENVIRONMENT: self.environment, LABEL_RECIPE: self.digest, LABEL_BASE: self.base}

    def dockerfile(
        self, base_id: str, layers: Sequence[str], *, brings_python: bool = False, has_authorities: bool = False
    ) -> str:
        """The Dockerfile, over a base of this id.

        Args:
            layers: folders of the context, the steadiest first.
            brings_python: the layers have the interpreter, which is the base's otherwise.
            has_authorities: the context has certificate authorities, for the system's packages.
        """
        # What never changes comes before what does: each line is a layer or a setting that later builds find again.
        lines = [f"FROM {base_id}", "USER 0:0", f'ENV PATH="{PREFIX}/bin:$PATH" PYTHONUNBUFFERED=1', "ENTRYPOINT []"]
        if self.system_packages:
            lines += _system(self.system_packages, has_authorities)
        made = () if brings_python else (f"python3 -m venv --without-pip {PREFIX}",)
        lines += [_run(*made, *_user()), "ENV HOME=/home/lineage", "WORKDIR /home/lineage", f'CMD ["{PYTHON}"]']
        for layer in layers:
            lines += [f"COPY {layer}/ {PREFIX}/", _run(_compile())]
        lines += [f"USER {USER}", "LABEL " + " ".join(f'{name}="{text}"' for name, text in self.labels.items())]
        return "".join(f"{line}\n" for line in lines)


def _run(*commands: str) -> str:
    return "RUN " + " && ".join(commands)


def _user() -> Sequence[str]:
    """An ordinary user, in whatever distribution, with a home; names are looked up by getpass and the like."""
    number = USER.partition(":")[0]
    return (
        f"echo 'lineage:x:{USER}:lineage:/home/lineage:/bin/sh' >> /etc/passwd",
        f"echo 'lineage:x:{number}:' >> /etc/group",
        "mkdir -p /home/lineage",
        f"chown {USER} /home/lineage",
    )


def _compile() -> str:
    # A package may ship files for other versions of Python, which do not compile: that is no fault.
    return f"{PYTHON} -m compileall -qq -j 0 {PREFIX}/lib || true"


def _system(packages: Sequence[str], has_authorities: bool) -> list[str]:
    missing = "the base image has no apt-get, so systemPackages cannot be installed: choose a base that has them"
    option = f" -o Acquire::https::CaInfo={AUTHORITIES}" if has_authorities else ""
    copy = [f"COPY authorities.pem {AUTHORITIES}"] if has_authorities else []
    names = " ".join(shlex.quote(each) for each in packages)
    return [
        *copy,
        _run(
            f"{{ command -v apt-get > /dev/null || {{ echo '{missing}' >&2; exit 1; }}; }}",
            f"apt-get{option} update -q",
            f"DEBIAN_FRONTEND=noninteractive apt-get{option} install -q -y --no-install-recommends {names}",
            "rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb /var/log/apt /var/log/dpkg.log",
        ),
    ]
