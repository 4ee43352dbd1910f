"""Write the schema that ships with the package, from the code and conf/: ``python -m bnbench.schema_writer``."""

from __future__ import annotations

import inspect
from dataclasses import replace

from bnbench.components import BUILT_IN
from bnbench.config import GROUPS
from bnbench.config.hydra import composed, group_names
from bnbench.data import DATA_FACTS
from bnbench.probes import PROBES
from bnbench.schema import SHIPPED, Description, Shipped, describe, encode
from bnbench.store.files import replacing


def current() -> Shipped:
    """The schema as the code and conf/ have it now: conf/ says the defaults, the code all else."""
    described = describe(BUILT_IN, {group: frozenset(registry) for group, registry in BUILT_IN.items()})
    config, chosen = composed()
    choices = {}
    for group in GROUPS:
        for name in group_names(group):
            options = (config if name == chosen[group] else composed(group, name)[0])[group]
            data = DATA_FACTS[name] if group == "dataset" else None
            known = described.get((group, name), Description({}, {}, ""))
            choices[group, name] = replace(known, options=options, data=data)
    defaults = {key: value for key, value in config.items() if key not in GROUPS}
    probes: dict[str, str] = {name: _first_paragraph(inspect.getdoc(probe) or "") for name, probe in PROBES.items()}
    return Shipped(defaults, chosen, choices, probes)


def _first_paragraph(doc: str) -> str:
    return " ".join(doc.partition("\n\n")[0].split()).rstrip(".").replace("`", "")


if __name__ == "__main__":
    with replacing(SHIPPED) as stream:
        stream.write(encode(current()))
